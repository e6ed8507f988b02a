/** The HTTP API of OpenBao and Vault, as far as one transit key needs it. */
import { readFileSync } from 'node:fs';
import { type Dispatcher, Pool } from 'undici';
import { KeywardError } from '../../../core/index.ts';
import { rootFailure, type RootFailureCode } from '../failure.ts';
import type { RootConfigOf } from '../root.ts';

export interface TransitClient {
  /** The `data` of the answer. @throws KeywardError made by `rootFailure` */
  ask(
    method: 'GET' | 'POST',
    path: string,
    body?: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>>;
  close(): Promise<void>;
}

const CONNECTIONS = 4;
/** `resilient` gives up earlier; opening is not behind it. */
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export function createTransitClient(config: RootConfigOf<'transit'>, token: () => string): TransitClient {
  const { origin, pathname } = new URL(config.address);
  const base = `${pathname.replace(/\/+$/, '')}/v1/`;
  const pool = new Pool(origin, {
    connections: CONNECTIONS,
    connectTimeout: ANSWER_TIMEOUT_MS,
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
    connect: config.caFile === undefined ? {} : { ca: readCa(config.caFile) },
  });
  const headers = () => ({
    'x-vault-token': token(),
    'x-vault-request': 'true',
    'content-type': 'application/json',
    ...(config.namespace === undefined ? {} : { 'x-vault-namespace': config.namespace }),
  });
  return {
    async ask(method, path, body, signal) {
      const request = {
        method,
        path: base + path,
        headers: headers(),
        ...(body ? { body: JSON.stringify(body) } : {}),
        ...(signal ? { signal } : {}),
      };
      const { statusCode, text } = await exchange(pool, request);
      if (statusCode !== 200) throw refusal(statusCode, text);
      return dataOf(text);
    },
    close: () => pool.destroy(),
  };
}

async function exchange(pool: Pool, request: Dispatcher.RequestOptions): Promise<{ statusCode: number; text: string }> {
  try {
    const { statusCode, body } = await pool.request(request);
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_ANSWER_BYTES) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'Its answer is too long.');
      chunks.push(chunk);
    }
    return { statusCode, text: Buffer.concat(chunks).toString('utf8') };
  } catch (thrown) {
    throw thrown instanceof KeywardError ? thrown : rootFailure('KEYS_ROOT_UNAVAILABLE', undefined, thrown);
  }
}

/** Texts of both servers for a ciphertext that was altered, or stands under another context. */
const NOT_AUTHENTIC =
  /message authentication failed|invalid ciphertext|invalid base64|illegal base64|version is too new/i;

/** Statuses that pass by themselves: a standby, a sealed or starting server, a limit on requests. */
const TRANSIENT: ReadonlySet<number> = new Set([412, 429, 472, 473, 500, 502, 503, 504]);

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The server refused the request; its audit log tells why.',
  403: 'The token may not use the key, or is no longer valid.',
  404: 'There is no such key or engine, or it was deleted.',
};

function refusal(statusCode: number, text: string): KeywardError {
  if (statusCode === 400 && NOT_AUTHENTIC.test(text)) return rootFailure('KEYS_NOT_AUTHENTIC');
  const code: RootFailureCode = TRANSIENT.has(statusCode) ? 'KEYS_ROOT_UNAVAILABLE' : 'KEYS_ROOT_REFUSED';
  return rootFailure(code, REFUSALS[statusCode] ?? `It answered with status ${statusCode}.`);
}

function dataOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const { data } = JSON.parse(text) as { data?: unknown };
    if (typeof data === 'object' && data !== null) return data as Record<string, unknown>;
  } catch {
    // Told below: what a parser says about it may quote a plaintext.
  }
  throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered something that is no transit answer.');
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    throw rootFailure('KEYS_ROOT_UNUSABLE', 'The file of keys.root.caFile cannot be read.', thrown);
  }
}
