/** A whole Keyward for tests: `keyward up` as a process of its own on free ports and a data directory of its own, gone at the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { dataPaths, systemClock } from '../../packages/server/src/core/index.ts';
import { mintDevelopmentToken } from '../../packages/server/src/identity/index.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const MAIN = join(ROOT, 'packages/server/src/main.ts');
const READY_TIMEOUT_MS = 60_000;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Body;
}

/** A parsed answer, looked into by member. */
export interface Body {
  readonly [name: string]: Body;
  readonly [index: number]: Body;
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH';
  readonly path: string;
  readonly role?: string | undefined;
  readonly token?: string;
  readonly json?: unknown;
  readonly form?: Record<string, string>;
  readonly headers?: Record<string, string>;
  /** Sent as it is. */
  readonly raw?: string | Uint8Array;
}

export interface TokenChoice {
  readonly role: string;
  readonly patient?: string;
  readonly purpose?: string;
  readonly scope?: string;
  readonly mfa?: boolean;
  readonly audience?: string;
  readonly ttlSeconds?: number;
}

const PURPOSE: Readonly<Record<string, string>> = {
  clinician: 'TREAT',
  billing: 'HPAYMT',
  researcher: 'HRESCH',
  partner: 'TREAT',
  patient: 'PATRQT',
  auditor: 'HOPERAT',
  admin: 'HOPERAT',
};

export interface StartOptions {
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Ports nobody has at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export class Product {
  readonly dataDir: string;
  readonly gatewayPort: number;
  readonly adminPort: number;
  /** Environment of its next start. */
  env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  readonly #pools = new Map<number, Pool>();
  /** What `up` printed. */
  output = '';

  constructor(dataDir: string, gatewayPort: number, adminPort: number, env: Readonly<Record<string, string>>) {
    this.dataDir = dataDir;
    this.gatewayPort = gatewayPort;
    this.adminPort = adminPort;
    this.env = env;
  }

  get paths() {
    return dataPaths(this.dataDir);
  }

  get base(): string {
    return `https://localhost:${this.gatewayPort}/fhir`;
  }

  get ca(): string {
    return readFileSync(this.paths.caCertificate, 'utf8');
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** Resolves when it said that it is ready; rejects with what it printed when it ended instead. */
  async start(): Promise<void> {
    this.output = '';
    const ports = ['--gateway-port', String(this.gatewayPort), '--admin-port', String(this.adminPort)];
    const child = spawn(process.execPath, [MAIN, 'up', '--data-dir', this.dataDir, ...ports], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!this.output.includes('keyward is ready')) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`up ended with ${child.exitCode ?? child.signalCode}:\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`up was not ready in time:\n${this.output}`);
      await sleep(20);
    }
  }

  /** Ends it as an operator would; answers the exit status. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill(signal);
    return exited;
  }

  token(choice: TokenChoice): Promise<string> {
    const {
      role,
      patient,
      purpose = PURPOSE[role],
      scope = role === 'patient' ? 'patient/*.cruds' : 'user/*.cruds',
      mfa = true,
      audience = 'keyward',
      ttlSeconds = 600,
    } = choice;
    return mintDevelopmentToken(
      this.paths,
      { role, sub: `test-${role}`, audience, scope, patient, purpose, mfa, ttlSeconds },
      systemClock,
    );
  }

  /** One request to the gateway over verified TLS. */
  fhir(call: Call): Promise<Answer> {
    return this.call(this.gatewayPort, { ...call, path: `/fhir${call.path}` });
  }

  admin(call: Call): Promise<Answer> {
    return this.call(this.adminPort, call);
  }

  async call(port: number, { method, path, role, token, json, form, headers, raw }: Call): Promise<Answer> {
    const bearer = token ?? (role === undefined ? undefined : await this.token({ role }));
    const body =
      raw ??
      (json === undefined
        ? form === undefined
          ? undefined
          : new URLSearchParams(form).toString()
        : JSON.stringify(json));
    const type = form === undefined ? 'application/fhir+json' : 'application/x-www-form-urlencoded';
    const answer = await this.#pool(port).request({
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      path,
      headers: {
        ...(body === undefined ? {} : { 'content-type': type }),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...headers,
      },
      body: body ?? null,
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, body: parse(text) };
  }

  /** Ledger entries, newest last, as the auditor sees them. */
  async ledger(query = ''): Promise<Body[]> {
    const answer = await this.admin({ path: `/v1/ledger/entries?limit=1000${query}`, role: 'auditor' });
    if (answer.status !== 200) throw new Error(`ledger: ${answer.status} ${JSON.stringify(answer.body)}`);
    return (answer.body['entries'] ?? answer.body) as unknown as Body[];
  }

  #pool(port: number): Pool {
    const known = this.#pools.get(port);
    if (known) return known;
    const pool = new Pool(`https://localhost:${port}`, {
      connect: { ca: this.ca },
      connections: 16,
      headersTimeout: 60_000,
    });
    this.#pools.set(port, pool);
    return pool;
  }
}

function parse(text: string): Body {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return text as unknown as Body;
  }
}

/** Starts a product that is stopped and removed when the test file ends. */
export async function startProduct({ dataDir, env = {} }: StartOptions = {}): Promise<Product> {
  const product = await newProduct({ ...(dataDir ? { dataDir } : {}), env });
  await product.start();
  return product;
}

export async function newProduct({ dataDir, env = {} }: StartOptions = {}): Promise<Product> {
  const folder = dataDir ?? mkdtempSync(join(tmpdir(), 'keyward-test-'));
  const [gatewayPort = 0, adminPort = 0] = await freePorts(2);
  const product = new Product(folder, gatewayPort, adminPort, env);
  started.push(product);
  return product;
}

/** Of the test file that imports this; ended with it, whichever hook started them. */
const started: Product[] = [];
after(async () => {
  for (const product of started) {
    await product.stop();
    rmSync(product.dataDir, { recursive: true, force: true });
  }
});

export interface Hit {
  readonly file: string;
  readonly text: string;
}

/** Every file below a folder that holds one of the texts. */
export function filesHolding(folder: string, texts: ReadonlySet<string>): Hit[] {
  const needles = [...texts].map((text) => ({ text, bytes: Buffer.from(text) }));
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => {
      const file = join(entry.parentPath, entry.name);
      const content = readFileSync(file);
      return needles.filter(({ bytes }) => content.includes(bytes)).map(({ text }) => ({ file, text }));
    });
}
