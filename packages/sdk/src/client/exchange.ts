/** One HTTP exchange with the custodian over its Unix socket. */
import { type Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { ClientError } from './errors.ts';

/** Largest answer read: 1000 keys are about 110 KB. */
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface Line {
  readonly agent: Agent;
  readonly socketPath: string;
  readonly credential: string;
  readonly timeoutMs: number;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What the other side does to an idle kept-alive connection looks like this on the next request. */
const DROPPED = new Set(['ECONNRESET', 'EPIPE']);

/** Sends once more when a kept-alive connection was closed under us; every call is idempotent. */
export async function exchange(line: Line, path: string, body: string): Promise<Answer> {
  const signal = AbortSignal.timeout(line.timeoutMs);
  try {
    return await send(line, path, body, signal).catch((error: unknown) => {
      if (error instanceof DroppedConnection) return send(line, path, body, signal);
      throw error;
    });
  } catch (cause) {
    throw new ClientError('KEYS_UNAVAILABLE', { cause });
  }
}

class DroppedConnection extends Error {
  override readonly name = 'DroppedConnection';
}

function send(line: Line, path: string, body: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      agent: line.agent,
      socketPath: line.socketPath,
      method: 'POST',
      path,
      signal,
      headers: {
        authorization: `Bearer ${line.credential}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      },
    });
    outgoing.on('error', (error) => reject(dropped(outgoing, error) ? new DroppedConnection() : error));
    outgoing.on('response', (incoming) => void readAnswer(incoming).then(resolve, reject));
    outgoing.end(body);
  });
}

const dropped = (outgoing: ClientRequest, error: NodeJS.ErrnoException): boolean =>
  outgoing.reusedSocket && DROPPED.has(error.code ?? '');

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  return { status: incoming.statusCode ?? 0, body: await readText(incoming) };
}

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
