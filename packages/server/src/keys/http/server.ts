/** The custodian's API: HTTP and JSON over a Unix socket. */
import { chmodSync } from 'node:fs';
import { KEY_ROUTES, type KeyOperation, type WireAnswer } from '@keyward/sdk/client';
import type { DataKey } from '@keyward/sdk/seal';
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify';
import { asKeywardError, type Clock, KeywardError, type Log, newUuid, toProblem } from '../../core/index.ts';
import type { Custodian } from '../custodian.ts';
import type { RemoteCaller } from '../grants.ts';
import { createIdentifyCaller, type CustodianCredentials, type IdentifyCaller } from './credentials.ts';
import { correlationIdOf, readProcessBody, readProtectBody } from './requests.ts';
import { prepareSocket } from './socket.ts';
import { createRefuseStranger, type RefuseStranger } from './strangers.ts';

export interface CustodianServerOptions {
  readonly custodian: Custodian;
  readonly socketPath: string;
  readonly credentials: CustodianCredentials;
  readonly clock: Clock;
  readonly log: Log;
}

export interface CustodianServer {
  start(): Promise<void>;
  /** Finishes what is under way, then stops. */
  close(): Promise<void>;
}

/** A thousand specs are about 90 KB. */
const MAX_BODY_BYTES = 256 * 1024;

export function createCustodianServer(options: CustodianServerOptions): CustodianServer {
  const { custodian, socketPath, credentials, clock, log } = options;
  const app = fastify({ bodyLimit: MAX_BODY_BYTES, forceCloseConnections: 'idle' });
  let closing = false;
  // A connection kept alive behind the last answer would hold the close up until the client lets go of it.
  app.addHook('onSend', async (_request, reply) => void (closing && reply.header('connection', 'close')));
  const refuseStranger = createRefuseStranger({ record: (id) => custodian.recordStranger(id), clock, log });
  addErrors(app, log);
  addHealth(app, custodian);
  addKeys(app, custodian, createIdentifyCaller(credentials), refuseStranger);
  return {
    async start() {
      await prepareSocket(socketPath);
      await app.listen({ path: socketPath });
      chmodSync(socketPath, 0o600);
    },
    close() {
      closing = true;
      return app.close();
    },
  };
}

function addErrors(app: FastifyInstance, log: Log): void {
  app.addHook('onRequest', async (_request, reply) => void reply.header('cache-control', 'no-store'));
  app.setNotFoundHandler(() => {
    throw new KeywardError('KEYS_REQUEST_INVALID');
  });
  app.setErrorHandler((thrown, request, reply) => {
    const error = codedError(thrown);
    const correlationId = correlationIdOf(request.body) ?? newUuid();
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

type Serve = (custodian: Custodian, caller: RemoteCaller, body: unknown) => Promise<DataKey[]>;

const SERVE: Readonly<Record<KeyOperation, Serve>> = {
  protect(custodian, caller, body) {
    const { specs, use } = readProtectBody(body);
    return custodian.protect(caller, specs, use);
  },
  process(custodian, caller, body) {
    const { ids, use } = readProcessBody(body);
    return custodian.process(caller, ids, use);
  },
};

/** The caller is known before any of the body is read. */
function addKeys(
  app: FastifyInstance,
  custodian: Custodian,
  identify: IdentifyCaller,
  refuseStranger: RefuseStranger,
): void {
  const callers = new WeakMap<FastifyRequest, RemoteCaller>();
  const authenticate = async (request: FastifyRequest) => {
    callers.set(request, identify(request.headers.authorization) ?? (await refuseStranger(newUuid())));
  };
  for (const operation of ['protect', 'process'] as const) {
    app.post(KEY_ROUTES[operation], { onRequest: authenticate }, async (request) => {
      const caller = callers.get(request) ?? (await refuseStranger(newUuid()));
      return answerOf(await SERVE[operation](custodian, caller, request.body));
    });
  }
}

/** The one place where key bytes become text. Text cannot be wiped; it lives until the answer is sent. */
function answerOf(keys: readonly DataKey[]): WireAnswer {
  return { keys: keys.map(({ id, secret }) => ({ id, secret: base64Of(secret) })) };
}

function base64Of(secret: DataKey['secret']): string {
  const bytes = secret.export();
  try {
    return bytes.toString('base64');
  } finally {
    bytes.fill(0);
  }
}
