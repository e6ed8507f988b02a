/** The custodian's API: HTTP and JSON over a Unix socket, and where it is configured over mutual TLS. */
import { chmodSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { type HandedKey, KEY_ROUTES, type KeyOperation, type WireAnswer } from '@keyward/sdk/client';
import type { KeyObject } from 'node:crypto';
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify';
import {
  asKeywardError,
  type Clock,
  KeywardError,
  type Log,
  newUuid,
  TLS_POLICY,
  toProblem,
} from '../../core/index.ts';
import type { Management } from '../control/management.ts';
import type { Custodian } from '../custodian.ts';
import type { RemoteCaller } from '../grants.ts';
import { RateLimited } from '../rate-limit.ts';
import type { NewsFeed } from '../news/news-feed.ts';
import { createIdentifyCertificate } from './certificates.ts';
import { createIdentifyCaller, type CustodianCredentials } from './credentials.ts';
import { addManagement } from './management.ts';
import { correlationIdOf, readProcessBody, readProtectBody } from './requests.ts';
import { addNews } from './news.ts';
import { prepareSocket } from './socket.ts';
import { createRefuseStranger, type RefuseStranger } from './strangers.ts';

export interface CustodianServerOptions {
  readonly custodian: Custodian;
  /** Without it, nothing is managed over this server. */
  readonly management?: Management;
  readonly socketPath: string;
  /** Without it, only processes of this host are served. */
  readonly listen?: TlsListener | undefined;
  readonly credentials: CustodianCredentials;
  /** What processes are told of keys they may hold. */
  readonly news?: NewsFeed;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where processes of other hosts come in, each with a certificate of `ca` that names it. */
export interface TlsListener {
  readonly host: string;
  readonly port: number;
  /** Whose keys are served here, as certificates name it. */
  readonly tenant: string;
  /** All three as PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface CustodianServer {
  start(): Promise<void>;
  /** Finishes what is under way, then stops. */
  close(): Promise<void>;
}

/** A thousand specs are about 90 KB, a thousand subjects 40 KB. */
const MAX_BODY_BYTES = 256 * 1024;

export function createCustodianServer(options: CustodianServerOptions): CustodianServer {
  const { listen, socketPath } = options;
  const local = createApp(options, byCredential(options), {});
  const remote = listen && createApp(options, byCertificate(options, listen), { https: tlsOptions(listen) });
  const apps = remote ? [local, remote] : [local];
  if (remote) recordRefusedHandshakes(remote, options);
  return {
    async start() {
      await prepareSocket(socketPath);
      await local.app.listen({ path: socketPath });
      chmodSync(socketPath, 0o600);
      if (remote && listen) await remote.app.listen({ host: listen.host, port: listen.port });
    },
    async close() {
      await Promise.all(apps.map((each) => each.close()));
    },
  };
}

/** The process that a request comes from; undefined for a stranger. */
type Identify = (request: FastifyRequest) => RemoteCaller | undefined;

const byCredential = ({ credentials }: CustodianServerOptions): Identify => {
  const identify = createIdentifyCaller(credentials);
  return ({ headers }) => identify(headers.authorization);
};

/** The certificate is the credential. Who shows both a certificate and a credential must be the same process by both. */
const byCertificate = (options: CustodianServerOptions, { tenant }: TlsListener): Identify => {
  const [byCredentialToo, identify] = [byCredential(options), createIdentifyCertificate(tenant, options.clock)];
  return (request) => {
    const caller = identify(request.raw.socket as TLSSocket);
    const agrees = request.headers.authorization === undefined || byCredentialToo(request) === caller;
    return agrees ? caller : undefined;
  };
};

const tlsOptions = ({ ca, cert, key }: TlsListener) => ({
  ...TLS_POLICY,
  ca,
  cert,
  key,
  requestCert: true,
  rejectUnauthorized: true,
});

interface App {
  readonly app: FastifyInstance;
  readonly refuseStranger: RefuseStranger;
  close(): Promise<void>;
}

function createApp(options: CustodianServerOptions, identify: Identify, transport: { https?: object }): App {
  const { custodian, news, management, clock, log } = options;
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: 'idle',
    ...transport,
  }) as unknown as FastifyInstance;
  let closing = false;
  // A connection kept alive behind the last answer would hold the close up until the client lets go of it.
  app.addHook('onSend', async (_request, reply) => void (closing && reply.header('connection', 'close')));
  const refuseStranger = createRefuseStranger({ record: (id) => custodian.recordStranger(id), clock, log });
  const callerOf = async (request: FastifyRequest) => identify(request) ?? (await refuseStranger(newUuid()));
  addErrors(app, log);
  addHealth(app, custodian);
  addKeys(app, custodian, callerOf);
  if (news) addNews(app, { feed: news, clock, callerOf });
  if (management) addManagement(app, { management, callerOf, codedError, log });
  const close = () => {
    closing = true;
    return app.close();
  };
  return { app, refuseStranger, close };
}

/** The refusal itself has happened already. */
async function recorded(refuseStranger: RefuseStranger): Promise<void> {
  try {
    await refuseStranger(newUuid());
  } catch {
    // Always: it throws for the sake of those who have a request to answer.
  }
}

/** No certificate, one that does not verify, an older TLS: refused before there is a request, and recorded like other strangers. */
function recordRefusedHandshakes({ app, refuseStranger }: App, { log }: CustodianServerOptions): void {
  app.server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    // Who only connects and goes, as a port check does, has not asked for anything. Node resets who does not verify itself.
    if (error.code === 'ECONNRESET' && !socket.authorizationError) return;
    log.warn('TLS handshake refused', { code: 'KEYS_UNAUTHENTICATED' });
    void recorded(refuseStranger);
  });
}

function addErrors(app: FastifyInstance, log: Log): void {
  app.addHook('onRequest', async (_request, reply) => void reply.header('cache-control', 'no-store'));
  app.setNotFoundHandler(() => {
    throw new KeywardError('KEYS_REQUEST_INVALID');
  });
  app.setErrorHandler((thrown, request, reply) => {
    const error = codedError(thrown);
    const correlationId = correlationIdOf(request.body) ?? newUuid();
    if (error instanceof RateLimited) reply.header('retry-after', error.retryAfterSeconds);
    if (error.row.status >= 500) log.error('request failed', { code: error.code, correlationId, error: thrown });
    return reply.code(error.row.status).type('application/problem+json').send(toProblem(error, correlationId));
  });
}

/** What fastify itself refuses (no JSON, too large, wrong type) has a `statusCode` below 500 and no code of ours. */
function codedError(thrown: unknown): KeywardError {
  if (thrown instanceof KeywardError) return thrown;
  const { statusCode = 500 } = thrown as { statusCode?: number };
  return statusCode < 500 ? new KeywardError('KEYS_REQUEST_INVALID', { cause: thrown }) : asKeywardError(thrown);
}

function addHealth(app: FastifyInstance, custodian: Custodian): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const ready = await custodian.ready();
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready' });
  });
}

type Serve = (custodian: Custodian, caller: RemoteCaller, body: unknown) => Promise<HandedKey[]>;

const SERVE: Readonly<Record<KeyOperation, Serve>> = {
  protect(custodian, caller, body) {
    const { specs, use, seals } = readProtectBody(body);
    return custodian.protect(caller, specs, use, seals);
  },
  process(custodian, caller, body) {
    const { ids, use } = readProcessBody(body);
    return custodian.process(caller, ids, use);
  },
};

type CallerOf = (request: FastifyRequest) => Promise<RemoteCaller>;

/** The caller is known before any of the body is read. */
function addKeys(app: FastifyInstance, custodian: Custodian, callerOf: CallerOf): void {
  const callers = new WeakMap<FastifyRequest, RemoteCaller>();
  const authenticate = async (request: FastifyRequest) => void callers.set(request, await callerOf(request));
  for (const operation of ['protect', 'process'] as const) {
    app.post(KEY_ROUTES[operation], { onRequest: authenticate }, async (request) => {
      const caller = callers.get(request) ?? (await callerOf(request));
      return answerOf(await SERVE[operation](custodian, caller, request.body));
    });
  }
}

/** The one place where key bytes become text. Text cannot be wiped; it lives until the answer is sent. */
function answerOf(keys: readonly HandedKey[]): WireAnswer {
  return { keys: keys.map(({ secret, ...names }) => ({ ...names, secret: base64Of(secret) })) };
}

function base64Of(secret: KeyObject): string {
  const bytes = secret.export();
  try {
    return bytes.toString('base64');
  } finally {
    bytes.fill(0);
  }
}
