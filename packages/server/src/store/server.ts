/** The store's process boundary: plain HTTP/1.1 on a Unix socket, for the gateway alone. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { asKeywardError, newUuid, toOperationOutcome } from '../core/index.ts';
import { answer, type Exchange } from './answer.ts';
import { sendReply } from './http.ts';
import type { Reply } from './interactions.ts';
import type { StoreDependencies } from './types.ts';

export interface StoreServer {
  /** Resolves when the socket accepts connections. A socket that a killed store left behind is replaced. */
  listen(socketPath: string): Promise<void>;
  /** Lets requests under way finish. */
  close(): Promise<void>;
}

/** The caller keeps the pool, and closes it after the server. */
export function createStoreServer(dependencies: StoreDependencies): StoreServer {
  const server = createServer((request, response) => void serve(request, response, dependencies));
  return {
    listen: async (socketPath) => {
      rmSync(socketPath, { force: true });
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      server.once('error', reject).listen(socketPath, resolve);
      await promise;
      // Until here the directory (0700) keeps others out.
      chmodSync(socketPath, 0o600);
    },
    close: () => new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve()))),
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  dependencies: StoreDependencies,
): Promise<void> {
  const exchange: Exchange = {
    request,
    correlationId: correlationIdOf(request),
    base: `http://${request.headers.host ?? ''}`,
  };
  try {
    sendReply(response, await answer(exchange, dependencies), exchange.base);
  } catch (thrown) {
    sendReply(response, refusal(thrown, exchange, dependencies), exchange.base);
  }
}

function refusal(thrown: unknown, { correlationId }: Exchange, { log }: StoreDependencies): Reply {
  const error = asKeywardError(thrown);
  // A key that is missing or stopped is no answer about the record: 404 or 409 would say that it does not exist or was changed.
  const status = error.code.startsWith('KEYS_') ? Math.max(error.row.status, 500) : error.row.status;
  if (status >= 500) log.error('request failed', { correlationId, code: error.code, status, error: thrown });
  return { status, body: JSON.stringify(toOperationOutcome(error, correlationId)) };
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The gateway's, so that one id leads through every log. */
function correlationIdOf({ headers }: IncomingMessage): string {
  const sent = headers['x-correlation-id'];
  return typeof sent === 'string' && UUID.test(sent) ? sent : newUuid();
}
