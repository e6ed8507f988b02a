/** The gateway's HTTPS server: TLS 1.3 only, one exchange per request, every refusal recorded before it is told. */
import { createServer, type Server } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  asKeywardError,
  KeywardError,
  newUuid,
  RESPONSE_HEADERS,
  TLS_POLICY,
  toOperationOutcome,
  toProblem,
} from '../core/index.ts';
import { type Audited, errorEvent, isOfTheLedger, logFailure, unreadableEvent } from './audit.ts';
import { type Gateway, type Incoming, newExchange, type Reply } from './exchange.ts';
import { newApiExchange, type ServedApi } from './json/exchange.ts';
import { runApiPipeline } from './json/pipeline.ts';
import { runPipeline } from './pipeline.ts';
import { FHIR_PREFIX } from './routes.ts';
import { sendStream } from './streaming.ts';

const LAST_REQUESTS_MS = 500;

const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 65_000,
} as const;

export interface GatewayServerOptions {
  readonly gateway: Gateway;
  /** JSON APIs beside FHIR. */
  readonly apis: readonly ServedApi[];
  readonly tls: { readonly certificate: string; readonly privateKey: string };
  /** Whether each thing the gateway needs answers; for `/readyz`. */
  readonly ready: () => Promise<Readonly<Record<string, boolean>>>;
}

export interface GatewayServer {
  listen(port: number, host: string): Promise<void>;
  /** Stops accepting, lets requests in flight finish. */
  close(): Promise<void>;
}

export function createGatewayServer({ gateway, apis, tls, ready }: GatewayServerOptions): GatewayServer {
  const server = createServer(
    { ...TLS_POLICY, ...LIMITS, cert: tls.certificate, key: tls.privateKey },
    (request, response) => {
      const path = (request.url ?? '').split('?')[0] ?? '';
      const api = apis.find(({ prefix }) => isBelow(prefix, path));
      const served = isBelow(FHIR_PREFIX, path)
        ? serve(fhirFront(gateway, request), request, response)
        : api
          ? serve(apiFront(gateway, api, request), request, response)
          : serveOther(path, ready, request, response);
      served.catch((error: unknown) => {
        gateway.log.error('request failed outside the pipeline', { error });
        response.destroy();
      });
    },
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => void refuseUnreadable(gateway, error, socket));
  const lastAnswers = announceEnd(server);
  return {
    listen: (port, host) => listen(server, port, host),
    close: () => {
      const closed = close(server);
      lastAnswers();
      return closed;
    },
  };
}

/** What node's parser gives up on, and the status that says so. */
const UNREADABLE: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Bytes that are no request are recorded as a denial of nobody in particular, and answered without a body. */
async function refuseUnreadable(gateway: Gateway, error: NodeJS.ErrnoException, socket: Duplex): Promise<void> {
  // A connection that was reset has nobody to tell, and asked for nothing.
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const address = (socket as Partial<Socket>).remoteAddress ?? '';
  const denial = unreadableEvent(gateway, address);
  try {
    await gateway.audit.record([denial]);
  } catch (cause) {
    gateway.log.error('refusal not recorded', { code: 'GATEWAY_HEADER_REFUSED', error: cause });
  }
  const headers = Object.entries({ ...RESPONSE_HEADERS, connection: 'close', 'content-length': '0' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  if (socket.writable)
    socket.end(`HTTP/1.1 ${UNREADABLE[error.code ?? ''] ?? '400 Bad Request'}\r\n${headers.join('')}\r\n`);
}

/** A client that keeps its connection busy would never let the server end: from then on every answer says that it is the last. */
function announceEnd(server: Server): () => void {
  const unanswered = new Set<ServerResponse>();
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    if (!server.listening) response.shouldKeepAlive = false;
    unanswered.add(response);
    response.once('close', () => unanswered.delete(response));
  });
  return () => {
    for (const response of unanswered) response.shouldKeepAlive = false;
  };
}

const isBelow = (prefix: string, path: string): boolean => path === prefix || path.startsWith(`${prefix}/`);

/** One request to one kind of API: its exchange, its pipeline, and how it is told of errors. */
interface Front {
  readonly exchange: Audited & { readonly reply: Reply | undefined };
  readonly run: () => Promise<void>;
  readonly errorType: string;
  readonly errorBody: (error: KeywardError, correlationId: string) => Record<string, unknown>;
}

function fhirFront(gateway: Gateway, request: IncomingMessage): Front {
  const exchange = newExchange(gateway, incomingOf(request));
  return { exchange, run: () => runPipeline(exchange), errorType: FHIR_TYPE, errorBody: toOperationOutcome };
}

function apiFront(gateway: Gateway, api: ServedApi, request: IncomingMessage): Front {
  const exchange = newApiExchange(gateway, api, incomingOf(request));
  return { exchange, run: () => runApiPipeline(exchange), errorType: PROBLEM_TYPE, errorBody: toProblem };
}

const FHIR_TYPE = 'application/fhir+json; charset=utf-8';
/** RFC 9457. */
const PROBLEM_TYPE = 'application/problem+json';

async function serve(front: Front, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const started = performance.now();
  const { exchange } = front;
  let code: string | undefined;
  try {
    await front.run();
    const { status, headers, body, bytes, stream } = exchange.reply ?? fail('the pipeline gave no reply');
    const content = bytes ?? (body === undefined ? undefined : JSON.stringify(body));
    if (stream) code = await serveStream(exchange, response, { status, headers, stream });
    else send(response, status, headers, content, exchange.correlationId);
  } catch (thrown) {
    const error = await recorded(exchange, asKeywardError(thrown));
    code = error.code;
    const headers =
      error.row.status === 401
        ? {
            'www-authenticate': `Bearer error="${error.code === 'IDENTITY_TOKEN_MISSING' ? 'invalid_request' : 'invalid_token'}"`,
          }
        : {};
    const tell = request.complete ? send : sendBeforeTheEnd;
    tell(
      response,
      error.row.status,
      { ...headers, 'content-type': front.errorType, ...(error.row.retry ? { 'retry-after': '1' } : {}) },
      JSON.stringify(front.errorBody(error, exchange.correlationId)),
      exchange.correlationId,
    );
    logFailure(exchange, error);
  }
  exchange.gateway.log.info('request', {
    correlationId: exchange.correlationId,
    method: request.method ?? '',
    route: exchange.route.name,
    status: response.statusCode,
    durationMs: Math.round(performance.now() - started),
    ...(code ? { code } : {}),
  });
}

/** Its result is the code of what broke it off, which only the ledger and the log can tell any more. */
async function serveStream(
  exchange: Audited,
  response: ServerResponse,
  { status, headers, stream }: Pick<Required<Reply>, 'status' | 'headers' | 'stream'>,
): Promise<string | undefined> {
  if (response.req.httpVersion === '1.0') throw new KeywardError('GATEWAY_HTTP_VERSION');
  response.writeHead(status, headersOf(headers, undefined, exchange.correlationId));
  let code: string | undefined;
  const whole = await sendStream(response, stream, async (thrown) => {
    const error = await recorded(exchange, asKeywardError(thrown));
    code = error.code;
    logFailure(exchange, error);
  });
  if (!whole && code === undefined) exchange.gateway.log.info('client left', { correlationId: exchange.correlationId });
  return code;
}

const fail = (what: string): never => {
  throw new Error(what);
};

/** The error to tell, once it is in the ledger; when that fails, the caller hears of the ledger instead. */
async function recorded(exchange: Audited, error: KeywardError): Promise<KeywardError> {
  if (isOfTheLedger(error)) return error;
  try {
    await exchange.gateway.audit.record([errorEvent(exchange, error)]);
    return error;
  } catch (cause) {
    exchange.gateway.log.error('refusal not recorded', {
      correlationId: exchange.correlationId,
      code: error.code,
      error: cause,
    });
    return new KeywardError('LEDGER_UNAVAILABLE', { cause: error });
  }
}

const incomingOf = (request: IncomingMessage): Incoming => ({
  method: request.method ?? '',
  target: request.url ?? '',
  headers: request.headers,
  rawHeaders: request.rawHeaders,
  remoteAddress: request.socket.remoteAddress ?? '',
  readBody: (maxBytes) => readBody(request, maxBytes),
});

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The request must outlive an early end of this loop, or the refusal could not be sent.
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new KeywardError('GATEWAY_BODY_TOO_LARGE');
      chunks.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof KeywardError ? cause : new KeywardError('GATEWAY_BODY_INCOMPLETE', { cause });
  }
  return Buffer.concat(chunks, bytes);
}

function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer | undefined,
  correlationId: string,
): void {
  response.writeHead(status, headersOf(headers, body, correlationId));
  response.end(body);
}

function headersOf(
  headers: Readonly<Record<string, string>>,
  body: string | Buffer | undefined,
  correlationId: string,
): Record<string, string> {
  const content =
    body === undefined ? {} : { 'content-type': FHIR_TYPE, 'content-length': String(Buffer.byteLength(body)) };
  return { ...RESPONSE_HEADERS, 'x-correlation-id': correlationId, ...content, ...headers };
}

/** How long a client that is still sending a body nobody wants is listened to. */
const LINGER_MS = 2_000;

/**
 * Answers a request whose body is not wanted. Closing at once would reset the connection under a client that is still sending, and take
 * the answer with it (RFC 9112 §9.6): what comes is read and dropped until the body or the patience ends.
 */
function sendBeforeTheEnd(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  correlationId: string,
): void {
  const request = response.req;
  response.writeHead(status, headersOf({ ...headers, connection: 'close' }, body, correlationId));
  response.write(body);
  const timer = setTimeout(end, LINGER_MS);
  function end() {
    clearTimeout(timer);
    response.end();
  }
  request.once('end', end).once('close', end).resume();
}

/** Health for whoever runs this: nothing about patients, so no token. */
async function serveOther(
  path: string,
  ready: GatewayServerOptions['ready'],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume();
  const json = (status: number, body: object, type = 'application/json') => {
    response.writeHead(status, { ...RESPONSE_HEADERS, 'content-type': type });
    response.end(JSON.stringify(body));
  };
  if (path === '/healthz') return json(200, { status: 'ok' });
  if (path !== '/readyz') return json(404, toProblem(new KeywardError('GATEWAY_NOT_FOUND'), newUuid()), PROBLEM_TYPE);
  const parts = await ready();
  const all = Object.values(parts).every(Boolean);
  json(all ? 200 : 503, { status: all ? 'ready' : 'not ready', parts });
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new KeywardError('UP_PORT_TAKEN', { detail: `Port ${port}.`, cause: error })
          : error,
      ),
    );
    server.listen(port, host, resolve);
  });
}

/**
 * A connection that looks idle may carry a request that was not read yet, and closing it would cut that request off.
 * So nothing new is accepted, idle connections get time for a last request, and what has arrived is read before they close.
 */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const closeIdle = setTimeout(() => setImmediate(() => server.closeIdleConnections()), LAST_REQUESTS_MS);
    // An HTTP server's own `close` closes idle connections at once.
    NetServer.prototype.close.call(server, () => {
      clearTimeout(closeIdle);
      resolve();
    });
  });
}
