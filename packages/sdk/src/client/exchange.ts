/** One HTTP exchange with the custodian, over its Unix socket or over mutual TLS. */
import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type RequestOptions,
} from 'node:http';
import { request as requestOverTls } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { StringDecoder } from 'node:string_decoder';
import { ClientError } from './errors.ts';

/** Largest answer read: 1000 keys are about 110 KB. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Who this process is to a custodian on another host, and whom it believes there; PEM. */
export interface ClientTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Where the custodian is. The credential names this process; over TLS its certificate does, and a credential must agree with it. */
export type CustodianAddress =
  | { readonly socketPath: string; readonly credential: string }
  | { readonly url: string; readonly tls: ClientTls; readonly credential?: string };

export type Line = CustodianAddress & {
  /** For connections by TLS where the address has them. */
  readonly agent: Agent;
  readonly timeoutMs: number;
};

export interface Answer {
  readonly status: number;
  /** Set when the custodian says when to come back. */
  readonly retryAfterMs?: number;
  readonly body: string;
}

/** What the other side does to an idle kept-alive connection looks like this on the next request. */
const DROPPED = new Set(['ECONNRESET', 'EPIPE']);

const TOO_MANY_REQUESTS = 429;

/**
 * Sends once more when a kept-alive connection was closed under us, and after a refusal by rate as soon as the custodian
 * permits, unless that is beyond the time there is; every call is idempotent.
 */
export async function exchange(line: Line, path: string, body: string): Promise<Answer> {
  const endsMs = performance.now() + line.timeoutMs;
  const signal = AbortSignal.timeout(line.timeoutMs);
  try {
    for (;;) {
      const answer = await send(line, path, body, signal).catch((error: unknown) => {
        if (error instanceof DroppedConnection) return send(line, path, body, signal);
        throw error;
      });
      const { status, retryAfterMs } = answer;
      if (status !== TOO_MANY_REQUESTS || retryAfterMs === undefined) return answer;
      if (performance.now() + retryAfterMs >= endsMs) return answer;
      await sleep(retryAfterMs);
    }
  } catch (cause) {
    throw new ClientError('KEYS_UNAVAILABLE', { cause });
  }
}

class DroppedConnection extends Error {
  override readonly name = 'DroppedConnection';
}

type Request = Omit<RequestOptions, 'headers'> & { readonly headers?: OutgoingHttpHeaders };

/** A request as this process, not sent yet. */
export function begin(line: Line, { headers, ...options }: Request): ClientRequest {
  const { credential } = line;
  const authorization = credential === undefined ? {} : { authorization: `Bearer ${credential}` };
  const asked = { ...options, headers: { ...headers, ...authorization } };
  if ('socketPath' in line) return request({ ...asked, socketPath: line.socketPath });
  return requestOverTls(new URL(line.url), { ...asked, ...line.tls, minVersion: 'TLSv1.3' });
}

function send(line: Line, path: string, body: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const outgoing = begin(line, { agent: line.agent, method: 'POST', path, signal, headers });
    outgoing.on('error', (error) => reject(dropped(outgoing, error) ? new DroppedConnection() : error));
    outgoing.on('response', (incoming) => void readAnswer(incoming).then(resolve, reject));
    outgoing.end(body);
  });
}

const dropped = (outgoing: ClientRequest, error: NodeJS.ErrnoException): boolean =>
  outgoing.reusedSocket && DROPPED.has(error.code ?? '');

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const retryAfterMs = millisecondsOf(incoming.headers['retry-after']);
  const answer = { status: incoming.statusCode ?? 0, body: await readText(incoming) };
  return retryAfterMs === undefined ? answer : { ...answer, retryAfterMs };
}

/** The custodian gives whole seconds (RFC 9110 §10.2.3). */
const millisecondsOf = (seconds: string | undefined): number | undefined =>
  /^\d{1,6}$/.test(seconds ?? '') ? Number(seconds) * 1000 : undefined;

/** Wipes each chunk once it is read, for it may hold keys. The text cannot be wiped; it lives until the keys are taken from it. */
export async function readText(chunks: AsyncIterable<Buffer>): Promise<string> {
  const decoder = new StringDecoder('utf8');
  let text = '';
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    text += decoder.write(chunk);
    chunk.fill(0);
    if (bytes > MAX_ANSWER_BYTES) throw new Error('answer too large');
  }
  return text + decoder.end();
}
