/** The store's process boundary: plain HTTP/1.1 on a Unix socket, for the gateway alone. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  asKeywardError,
  ERRORS,
  type ErrorCode,
  KeywardError,
  newUuid,
  parseJson,
  toOperationOutcome,
} from '../core/index.ts';
import { atRest } from './at-rest.ts';
import { BODY_LIMITS, Bodies } from './bodies.ts';
import { asResource } from './bundle-entries.ts';
import { processBundle } from './bundles.ts';
import { capabilityStatement } from './capabilities.ts';
import { readBody, sendReply } from './http.ts';
import * as interactions from './interactions.ts';
import type { Reply } from './interactions.ts';
import { Repository } from './repository.ts';
import { routeOf } from './routes.ts';
import { openSession } from './session.ts';
import type { JsonObject, StoreDependencies } from './types.ts';

export interface StoreServer {
  /** Resolves when the socket accepts connections. A socket that a killed store left behind is replaced. */
  listen(socketPath: string): Promise<void>;
  /** Lets requests under way finish. */
  close(): Promise<void>;
}

/** The caller keeps the pool and closes it after the server. */
export function createStoreServer(dependencies: StoreDependencies): StoreServer {
  const server = createServer((request, response) => void serve(request, response, dependencies));
  return {
    listen: (socketPath) => {
      rmSync(socketPath, { force: true });
      return new Promise((resolve, reject) => {
        server.once('error', reject).listen(socketPath, () => {
          chmodSync(socketPath, 0o600);
          resolve();
        });
      });
    },
    close: () => new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve()))),
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  dependencies: StoreDependencies,
): Promise<void> {
  const correlationId = correlationIdOf(request);
  const base = `http://${request.headers.host ?? 'store'}`;
  try {
    sendReply(response, await answer(request, base, correlationId, dependencies), base);
  } catch (thrown) {
    const error = asCoded(thrown);
    const { status } = error.row;
    if (status >= 500)
      dependencies.log.error('request failed', { correlationId, code: error.code, status, error: thrown });
    sendReply(response, { status, body: toOperationOutcome(error, correlationId) as JsonObject }, base);
  }
}

/** Below the FHIR interactions: what the store tells about itself. */
const AT_REST = /^_at-rest\/([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9.-]{1,64})$/;

async function answer(
  request: IncomingMessage,
  base: string,
  correlationId: string,
  dependencies: StoreDependencies,
): Promise<Reply> {
  const { pool, clock } = dependencies;
  const { method = '', url = '/' } = request;
  const target = url.replace(/^\//, '');
  const [, atRestType, atRestId] = AT_REST.exec(target) ?? [];
  if (method === 'GET' && target === 'healthz') return healthz(dependencies);
  if (method === 'GET' && target === 'metadata') return { status: 200, body: capabilityStatement(clock.now()) };
  if (method === 'GET' && atRestType && atRestId)
    return { status: 200, body: await atRest(pool, atRestType, atRestId) };
  return fhir(request, method, target, base, correlationId, dependencies);
}

async function healthz({ pool }: StoreDependencies): Promise<Reply> {
  await pool.query('SELECT 1').catch((cause: unknown) => {
    throw new KeywardError('DB_UNAVAILABLE', { cause });
  });
  return { status: 200, body: { status: 'ok' } };
}

async function fhir(
  request: IncomingMessage,
  method: string,
  target: string,
  base: string,
  correlationId: string,
  { pool, keys, tenant, clock }: StoreDependencies,
): Promise<Reply> {
  const bytes = await readBody(request);
  const repository = new Repository(openSession(pool), new Bodies(keys, tenant, correlationId), clock);
  if (method === 'POST' && target === '') {
    const bundle = asResource(parseJson(bytes, BODY_LIMITS)) ?? refuseBundle();
    return { status: 200, body: await processBundle(bundle, repository, base, correlationId) };
  }
  const isForm = method === 'POST' && /^\w+\/_search(\?|$)/.test(target);
  const { name, ...route } = routeOf(method, target, isForm ? bytes.toString() : '');
  const resource = isForm || bytes.length === 0 ? undefined : asResource(parseJson(bytes, BODY_LIMITS));
  const call = {
    ...route,
    base,
    resource,
    ifMatch: header(request, 'if-match'),
    ifNoneExist: header(request, 'if-none-exist'),
  };
  return interactions[name](call, repository);
}

function header(request: IncomingMessage, name: 'if-match' | 'if-none-exist'): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The gateway's, so that one id leads through every log. */
function correlationIdOf(request: IncomingMessage): string {
  const sent = request.headers['x-correlation-id'];
  return typeof sent === 'string' && UUID.test(sent) ? sent : newUuid();
}

/** Errors of the custodian's client carry codes of the same table. */
function asCoded(thrown: unknown): KeywardError {
  const code = (thrown as { code?: unknown } | null)?.code;
  const known = !(thrown instanceof KeywardError) && typeof code === 'string' && Object.hasOwn(ERRORS, code);
  return known ? new KeywardError(code as ErrorCode, { cause: thrown }) : asKeywardError(thrown);
}

function refuseBundle(): never {
  throw new KeywardError('FHIR_BUNDLE_INVALID');
}
