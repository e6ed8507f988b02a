/** The part of the custodian's API that operators' calls come through: only the admin process may bring them. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { KeywardError, type Log, newUuid, toProblem } from '../../core/index.ts';
import { custodianApi } from '../control/api.ts';
import type { Management, ManagementCall } from '../control/management.ts';
import type { RemoteCaller } from '../grants.ts';

/** Headers in which the admin process hands on the operator's token, and the correlation id of the operator's request. */
export const OPERATOR_HEADER = 'keyward-operator';
export const CORRELATION_HEADER = 'keyward-correlation-id';

/** The process that serves the admin API. */
const CARRIER: RemoteCaller = 'admin';

export interface ManagementRoutes {
  readonly management: Management;
  /** @throws KeywardError `KEYS_UNAUTHENTICATED`, recorded */
  readonly callerOf: (request: FastifyRequest) => Promise<RemoteCaller>;
  readonly codedError: (thrown: unknown) => KeywardError;
  readonly log: Log;
}

interface Named {
  readonly Params: { readonly name: string };
}

export function addManagement(app: FastifyInstance, { management, callerOf, codedError, log }: ManagementRoutes): void {
  void app.register(async (scope) => {
    scope.addHook('onRequest', async (request) => {
      const caller = await callerOf(request);
      if (caller === CARRIER) return;
      await management.recordOther(caller, correlationOf(request));
      throw new KeywardError('KEYS_FORBIDDEN');
    });
    scope.setErrorHandler((thrown, request, reply) => {
      const error = codedError(thrown);
      const correlationId = correlationOf(request);
      if (error.row.status >= 500) log.error('management failed', { code: error.code, correlationId, error: thrown });
      return reply.code(error.row.status).type('application/problem+json').send(toProblem(error, correlationId));
    });
    scope.post<Named>('/v1/manage/acts/:name', async (request, reply) => {
      const answer = await management.act(request.params.name, callOf(request));
      return reply.code('request' in answer ? 202 : 200).send(answer);
    });
    scope.post<Named>('/v1/manage/questions/:name', (request) => management.ask(request.params.name, callOf(request)));
    scope.post('/v1/manage/requests', (request) => management.requests(callOf(request)));
    scope.post<Named>('/v1/manage/requests/:name/approve', (request) =>
      management.approve(request.params.name, callOf(request)),
    );
    scope.post<Named>('/v1/manage/requests/:name/cancel', (request) =>
      management.cancel(request.params.name, callOf(request)),
    );
    scope.get('/v1/manage/openapi.json', async () => custodianApi(management));
  });
}

function callOf(request: FastifyRequest): ManagementCall {
  const operator = request.headers[OPERATOR_HEADER];
  return {
    operator: typeof operator === 'string' ? operator : undefined,
    correlationId: correlationOf(request),
    body: request.body,
  };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const given = new WeakMap<FastifyRequest, string>();

/** One for everything that is said about a request. */
function correlationOf(request: FastifyRequest): string {
  const header = request.headers[CORRELATION_HEADER];
  if (typeof header === 'string' && UUID.test(header)) return header;
  const known = given.get(request) ?? newUuid();
  given.set(request, known);
  return known;
}
