/** HTTPS to a running instance: trusts its CA and nothing else; there is no way to switch verification off. */
import { readFileSync } from 'node:fs';
import type { Json } from '@keyward/sdk/seal';
import { Agent, request } from 'undici';
import { type DataPaths, KeywardError, parseJson } from '../core/index.ts';

export interface HttpRequest {
  readonly method?: 'GET' | 'POST';
  readonly token?: string;
  /** Sent as application/fhir+json, or as `type` says. */
  readonly body?: Json;
  readonly type?: string;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly location: string | undefined;
  /** Undefined when the answer is not JSON. */
  readonly body: Json | undefined;
}

export interface HttpClient {
  /** @throws KeywardError `CLI_NOT_READY` when nobody answers. */
  send(url: string, options?: HttpRequest): Promise<HttpAnswer>;
  close(): Promise<void>;
}

/** Large bundles are sealed, stored and recorded before the answer begins. */
const ANSWER_TIMEOUT_MS = 120_000;

/** @throws KeywardError `CLI_NOT_READY` when the data directory has no CA certificate. */
export function createHttpClient(paths: DataPaths): HttpClient {
  const agent = new Agent({
    connect: { ca: readCa(paths), minVersion: 'TLSv1.3' },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
  });
  return {
    async send(url, { method = 'GET', token, body, type = 'application/fhir+json', signal } = {}) {
      const answer = await request(url, {
        dispatcher: agent,
        method,
        headers: headersOf(token, body === undefined ? undefined : type),
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      }).catch((cause: unknown) => noAnswer(url, cause));
      const bytes = await answer.body.bytes().catch((cause: unknown) => noAnswer(url, cause));
      const { location } = answer.headers;
      return {
        status: answer.statusCode,
        location: typeof location === 'string' ? location : undefined,
        body: readJson(bytes),
      };
    },
    close: () => agent.close(),
  };
}

function headersOf(token: string | undefined, type: string | undefined): Record<string, string> {
  return {
    accept: 'application/fhir+json, application/json, application/problem+json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(type === undefined ? {} : { 'content-type': type }),
  };
}

function readCa(paths: DataPaths): string {
  try {
    return readFileSync(paths.caCertificate, 'utf8');
  } catch (cause) {
    throw new KeywardError('CLI_NOT_READY', { detail: `there is no ${paths.caCertificate}`, cause });
  }
}

function noAnswer(url: string, cause: unknown): never {
  const code = (cause as { code?: unknown }).code;
  const why = typeof code === 'string' ? `: ${code}` : '';
  throw new KeywardError('CLI_NOT_READY', { detail: `no answer from ${new URL(url).origin}${why}`, cause });
}

function readJson(bytes: Uint8Array): Json | undefined {
  try {
    return parseJson(bytes);
  } catch {
    return undefined;
  }
}
