/** The admin server: HTTPS with TLS 1.3, its hooks and its error answers. */
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import {
  asKeywardError,
  type Clock,
  KeywardError,
  type Log,
  newUuid,
  parseJson,
  RESPONSE_HEADERS,
  systemClock,
  TLS_POLICY,
  toProblem,
} from '../core/index.ts';
import { type GuardOptions, serveGuarded } from './guard.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { KEYS_ROUTES } from './keys-routes.ts';
import { type GuardedRoute, READING_ROUTES } from './routes.ts';

/** Every route that tells something about a person, a process or a record, or changes a key. */
const GUARDED_ROUTES: readonly GuardedRoute[] = [...READING_ROUTES, ...KEYS_ROUTES];

export interface AdminOptions extends Omit<GuardOptions, 'clock'> {
  /** PEM texts. */
  readonly tls: { readonly certificate: string; readonly privateKey: string };
  readonly log: Log;
  readonly clock?: Clock;
}

export interface AdminServer {
  /** Resolves with the port that was bound (of interest when `port` is 0). */
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  /** Answers what is in flight, then ends. */
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** Of an operator's call: an act on keys with its reason. */
const BODY_LIMIT_BYTES = 64 * 1024;

export function createAdminServer(options: AdminOptions): AdminServer {
  const metrics = createMetrics();
  const app = fastify({
    https: { ...TLS_POLICY, cert: options.tls.certificate, key: options.tls.privateKey },
    requestTimeout: REQUEST_TIMEOUT_MS,
    bodyLimit: BODY_LIMIT_BYTES,
    exposeHeadRoutes: false,
    genReqId: newUuid,
    requestIdHeader: false,
    frameworkErrors: (_error, request, reply) => sendProblem(request, reply, new KeywardError('ADMIN_NOT_FOUND')),
    clientErrorHandler: answerMalformed,
  });
  readJsonStrictly(app);
  answerErrors(app);
  countRequests(app, metrics, options.log);
  addProbes(app, options, metrics);
  addGuarded(app, { ...options, clock: options.clock ?? systemClock });
  app.addHook('onClose', async () => metrics.stop());
  return { listen: (address) => listen(app, address), close: () => app.close() };
}

async function listen(app: FastifyInstance, address: { host: string; port: number }): Promise<number> {
  return Number(new URL(await app.listen(address)).port);
}

/** Open to anyone who reaches the port: they tell whether Keyward works, and nothing about whom it works for. */
function addProbes(app: FastifyInstance, { services }: AdminOptions, metrics: Metrics): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const parts = await services.ready();
    const ready = Object.values(parts).every(Boolean);
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', parts });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(metrics.text()),
  );
}

function addGuarded(app: FastifyInstance, options: GuardOptions): void {
  for (const route of GUARDED_ROUTES) {
    const { method, url } = route;
    app.route({
      method,
      url,
      handler: async (request, reply) => {
        const answer = await serveGuarded(options, route, request);
        return reply.code(route.statusOf?.(answer) ?? 200).send(answer);
      },
    });
  }
}

/** One reading of every body, the same for us and whoever it is handed on to; nothing but JSON is read. */
function readJsonStrictly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) =>
    parseJson(body),
  );
}

function answerErrors(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => void reply.headers(RESPONSE_HEADERS));
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, new KeywardError('ADMIN_NOT_FOUND')));
  app.setErrorHandler((thrown, request, reply) => sendProblem(request, reply, codedError(thrown)));
}

/** What fastify itself refuses (no JSON, too large) has a `statusCode` below 500 and no code of ours. */
function codedError(thrown: unknown): KeywardError {
  const { statusCode = 500 } = thrown as { statusCode?: number };
  const isForeign = !(thrown instanceof KeywardError) && statusCode < 500;
  return isForeign ? new KeywardError('ADMIN_QUERY_INVALID', { cause: thrown }) : asKeywardError(thrown);
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, error: KeywardError): void {
  reply.headers(RESPONSE_HEADERS).code(error.row.status).type('application/problem+json');
  if (error.row.status === 401) reply.header('www-authenticate', 'Bearer');
  reply.send(toProblem(error, request.id));
}

function countRequests(app: FastifyInstance, metrics: Metrics, log: Log): void {
  app.addHook('onError', async (request, _reply, thrown) => {
    const { code } = asKeywardError(thrown);
    if (code === 'CORE_INTERNAL') log.error('admin request failed', { correlationId: request.id, code, error: thrown });
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.countRequest(route, reply.statusCode);
    log.info('admin request served', {
      correlationId: request.id,
      route,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
    });
  });
}

/** What is not HTTP gets one answer of ours, with the headers every response has, and the connection ends. */
function answerMalformed(_error: Error, socket: Socket): void {
  if (!socket.writable) return;
  const headers = Object.entries(RESPONSE_HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 400 Bad Request\r\n${headers.join('')}content-length: 0\r\nconnection: close\r\n\r\n`);
}
