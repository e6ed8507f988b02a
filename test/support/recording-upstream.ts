/** A small FHIR server behind the gateway that writes down all it gets, and lies when it is told to. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Json = { [name: string]: unknown };

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text goes out as it is, anything else as JSON. */
  readonly body?: unknown;
  /** Sends a blank this often instead of ending the answer. */
  readonly dripMs?: number;
}

/** Says what to answer instead of the truth, at once or later; undefined: never anything at all. */
export type Lie = (
  truth: Reply,
  request: { readonly method: string; readonly path: string },
) => Reply | undefined | Promise<Reply | undefined>;

export class RecordingUpstream {
  /** Holds the record of everything received, as files. */
  readonly folder = mkdtempSync(join(tmpdir(), 'keyward-upstream-'));
  readonly stored = new Map<string, Json>();
  lie: Lie = (truth) => truth;
  readonly #server: Server;
  #nextId = 1;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream();
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/fhir`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const [method, path] = [request.method ?? '', (request.url ?? '').slice('/fhir'.length)];
    const head = [`${method} ${request.url ?? ''}`, ...request.rawHeaders].join('\n');
    // As sent, and as somebody would read it who decodes it.
    appendFileSync(join(this.folder, 'received.txt'), `${head}\n${body}\n${decoded(path)}\n${decoded(body)}\n`);
    const reply = await this.lie(this.#truth(method, path, body), { method, path });
    if (!reply) return;
    response.writeHead(reply.status, { 'content-type': 'application/fhir+json', ...reply.headers });
    if (reply.dripMs) return drip(response, reply.dripMs);
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
  }

  #truth(method: string, path: string, body: string): Reply {
    const [type = '', id = '', action] = path.split('?')[0]?.split('/').slice(1) ?? [];
    if (type === 'metadata') return { status: 200, body: { resourceType: 'CapabilityStatement' } };
    if (type === '') return { status: 200, body: this.#transaction(JSON.parse(body) as Json) };
    if (id === '_search') return { status: 200, body: searchset(this.#all(type)) };
    if (method === 'GET') return this.#read(`${type}/${id}`, action !== undefined);
    const resource = this.#store(type, id, JSON.parse(body) as Json);
    return { status: id === '' ? 201 : 200, body: resource };
  }

  #read(name: string, history: boolean): Reply {
    const found = this.stored.get(name);
    if (!found) return { status: 404, body: { resourceType: 'OperationOutcome', issue: [] } };
    return { status: 200, body: history ? { ...searchset([found]), type: 'history' } : found };
  }

  #all = (type: string): Json[] => [...this.stored.values()].filter(({ resourceType }) => resourceType === type);

  #store(type: string, givenId: string, resource: Json): Json {
    const id = givenId === '' ? `r${this.#nextId++}` : givenId;
    const meta = { ...(resource['meta'] as Json | undefined), versionId: '1', lastUpdated: '2026-01-02T03:04:05.678Z' };
    const stored = { ...resource, id, meta };
    this.stored.set(`${type}/${id}`, stored);
    return stored;
  }

  /** Names given by `fullUrl` are resolved as R4 wants it. */
  #transaction(bundle: Json): Json {
    const entries = bundle['entry'] as { fullUrl?: string; resource: Json; request: { url: string } }[];
    const ids = entries.map(({ request }) => request.url.split('/')[1] ?? `r${this.#nextId++}`);
    const resolved = entries.reduce(
      (text, { fullUrl, request }, index) =>
        fullUrl ? text.replaceAll(`"${fullUrl}"`, `"${request.url.split('/')[0]}/${ids[index]}"`) : text,
      JSON.stringify(entries.map(({ resource }) => resource)),
    );
    const stored = (JSON.parse(resolved) as Json[]).map((resource, index) =>
      this.#store(String(resource['resourceType']), ids[index] ?? '', resource),
    );
    const entry = stored.map(({ resourceType, id }) => ({
      response: { status: '201 Created', location: `${String(resourceType)}/${String(id)}/_history/1`, etag: 'W/"1"' },
    }));
    return { resourceType: 'Bundle', type: 'transaction-response', entry };
  }
}

function drip(response: ServerResponse, everyMs: number): void {
  const timer = setInterval(() => response.write(' '), everyMs);
  response.once('close', () => clearInterval(timer));
}

export const searchset = (resources: readonly unknown[], more: Json = {}): Json => ({
  resourceType: 'Bundle',
  type: 'searchset',
  total: resources.length,
  entry: resources.map((resource) => ({ resource })),
  ...more,
});

function decoded(text: string): string {
  const readable = text.replace(/[A-Za-z0-9+/]{16,}={0,2}/g, (found) =>
    Buffer.from(found, 'base64').toString('latin1'),
  );
  try {
    return decodeURIComponent(readable.replaceAll('+', ' '));
  } catch {
    return readable;
  }
}
