/** The FHIR server behind the gateway, spoken to over undici; its texts are never passed on. */
import type { Json } from '@keyward/sdk/seal';
import { Pool } from 'undici';
import { type ErrorCode, KeywardError, parseJson } from '../core/index.ts';

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query below the upstream's FHIR base, starting with `/`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed JSON, undefined when there was none. */
  readonly body: Json | undefined;
}

export interface Upstream {
  /** FHIR base of the upstream without a trailing slash, as its own links begin. */
  readonly base: string;
  /** @throws KeywardError by status of the upstream, see UPSTREAM_ERRORS; `GATEWAY_UPSTREAM_…`. */
  request(request: UpstreamRequest): Promise<UpstreamAnswer>;
  /** Whether it answers at all: any FHIR server tells its capabilities. */
  answers(): Promise<boolean>;
  close(): Promise<void>;
}

export interface UpstreamOptions {
  readonly url: string;
  readonly socketPath?: string | undefined;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}

const UPSTREAM_ERRORS: Readonly<Record<number, ErrorCode>> = {
  400: 'FHIR_UPSTREAM_REFUSED',
  401: 'GATEWAY_UPSTREAM_DENIED',
  403: 'GATEWAY_UPSTREAM_DENIED',
  404: 'FHIR_NOT_FOUND',
  405: 'GATEWAY_UPSTREAM_UNSUPPORTED',
  409: 'FHIR_CONFLICT',
  410: 'FHIR_GONE',
  412: 'FHIR_PRECONDITION',
  413: 'GATEWAY_UPSTREAM_TOO_LARGE',
  415: 'GATEWAY_UPSTREAM_UNSUPPORTED',
  422: 'FHIR_UPSTREAM_REFUSED',
  429: 'GATEWAY_UPSTREAM_BUSY',
  501: 'GATEWAY_UPSTREAM_UNSUPPORTED',
};

/** Upstream JSON may nest deeper than a client's: extensions of ours are added inside. */
const ANSWER_LIMITS = { maxDepth: 96 };

export function createUpstream(options: UpstreamOptions): Upstream {
  const url = new URL(options.url);
  const prefix = url.pathname.replace(/\/$/, '');
  const pool = new Pool(url.origin, {
    connections: 32,
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    maxResponseSize: options.maxAnswerBytes,
    ...(options.socketPath ? { socketPath: options.socketPath } : {}),
  });
  const send = async (request: UpstreamRequest): Promise<UpstreamAnswer> => {
    const { statusCode, headers, body } = await pool.request({
      // Over the whole exchange: the other timeouts start anew with every byte.
      signal: AbortSignal.timeout(options.timeoutMs),
      method: request.method,
      path: prefix + request.path,
      headers: { accept: 'application/fhir+json', ...request.headers },
      body: request.body ?? null,
    });
    const bytes = Buffer.from(await body.arrayBuffer());
    if (statusCode < 200 || statusCode > 299) throw new KeywardError(refusalOf(request, statusCode));
    return { status: statusCode, headers, body: readAnswer(request, bytes) };
  };
  return {
    base: url.origin + prefix,
    request: (request) => withOneRetry(request, send),
    answers: () =>
      send({ method: 'GET', path: '/metadata' }).then(
        () => true,
        () => false,
      ),
    close: () => pool.close(),
  };
}

/** A redirect is no answer: what it names is not the server that was configured. Many follow a write that was done. */
function refusalOf(request: UpstreamRequest, status: number): ErrorCode {
  if (status < 400) return isQuestion(request) ? 'GATEWAY_UPSTREAM_INVALID' : 'GATEWAY_OUTCOME_UNKNOWN';
  // A server that failed may have written before it failed; one that does not know the interaction (501) has not.
  if (status >= 500 && status !== 501 && !isQuestion(request)) return 'GATEWAY_OUTCOME_UNKNOWN';
  // R4 (http, managing resource contention) wants 412 for a version that is no longer current; HAPI says 409.
  if (status === 409 && request.headers?.['if-match'] !== undefined) return 'FHIR_PRECONDITION';
  return UPSTREAM_ERRORS[status] ?? 'GATEWAY_UPSTREAM_UNAVAILABLE';
}

const isQuestion = ({ method, path }: UpstreamRequest): boolean => method === 'GET' || path.endsWith('/_search');

/** A question is repeated once when a kept-alive connection turns out to be dead (the upstream restarted). */
async function withOneRetry(
  request: UpstreamRequest,
  send: (request: UpstreamRequest) => Promise<UpstreamAnswer>,
): Promise<UpstreamAnswer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send(request);
    } catch (error) {
      if (error instanceof KeywardError) throw error;
      if (!isQuestion(request))
        throw new KeywardError(wasNeverSent(error) ? 'GATEWAY_UPSTREAM_UNAVAILABLE' : 'GATEWAY_OUTCOME_UNKNOWN', {
          cause: error,
        });
      if (attempt === 2 || (error as Error).name === 'TimeoutError')
        throw new KeywardError('GATEWAY_UPSTREAM_UNAVAILABLE', { cause: error });
    }
  }
}

/** Failures to connect: the upstream has seen nothing. */
const CONNECT_FAILURES: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EACCES',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const wasNeverSent = (error: unknown): boolean => CONNECT_FAILURES.has((error as { code?: unknown }).code);

function readAnswer(request: UpstreamRequest, bytes: Buffer): Json | undefined {
  if (bytes.length === 0) return undefined;
  try {
    return parseJson(bytes, ANSWER_LIMITS);
  } catch (cause) {
    throw new KeywardError(isQuestion(request) ? 'GATEWAY_UPSTREAM_INVALID' : 'GATEWAY_OUTCOME_UNKNOWN', { cause });
  }
}
