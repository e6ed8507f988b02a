/** The routes of key management: calls of operators, carried to the custodian; and who used a key, from the ledger. */
import { z } from 'zod';
import { KeywardError } from '../core/index.ts';
import { nothing } from './queries.ts';
import { type AdminServices, type GuardedCall, type GuardedRoute, parse } from './routes.ts';

/** Roles of the access policy that operators' tokens have; which act somebody may do, the custodian decides. */
const OPERATORS = ['admin', 'auditor'];

const anyBody = z.record(z.string(), z.unknown());

export const KEYS_ROUTES: readonly GuardedRoute[] = [
  carried('keys.act', 'acts/:name', z.strictObject({ name: z.string().regex(/^[a-z-]{1,64}$/) })),
  carried('keys.question', 'questions/:name', z.strictObject({ name: z.string().regex(/^[a-z-]{1,64}$/) })),
  carried('keys.requests', 'requests', nothing),
  carried('keys.approve', 'requests/:id/approve', z.strictObject({ id: z.uuid() })),
  carried('keys.cancel', 'requests/:id/cancel', z.strictObject({ id: z.uuid() })),
  {
    name: 'keys.openapi',
    method: 'GET',
    url: '/v1/keys/openapi.json',
    roles: OPERATORS,
    prepare: () => ({
      resources: [],
      answer: (services, call) => services.manageKeys({ ...from(call), method: 'GET', path: 'openapi.json' }),
    }),
  },
  {
    name: 'keys.usage',
    method: 'POST',
    url: '/v1/keys/usage',
    roles: OPERATORS,
    prepare(_params, _query, body) {
      const { target, days } = parse(usageBody, body);
      return { resources: [target], answer: (services, call) => usage(services, call, target, days) };
    },
  },
];

function carried(name: string, path: string, shape: z.ZodType<Record<string, string>>): GuardedRoute {
  return {
    name,
    method: 'POST',
    url: `/v1/keys/${path}`,
    roles: OPERATORS,
    prepare(rawParams, rawQuery, rawBody) {
      const params = parse(shape, rawParams);
      parse(nothing, rawQuery);
      const body = parse(anyBody, rawBody);
      const filled = path.replaceAll(/:(\w+)/g, (_whole, part: string) => params[part] ?? '');
      return {
        resources: [],
        answer: (services, call) => services.manageKeys({ ...from(call), method: 'POST', path: filled, body }),
      };
    },
    statusOf: (answer) => (typeof answer === 'object' && answer !== null && 'request' in answer ? 202 : 200),
  };
}

const from = ({ authorization, correlationId }: GuardedCall) => ({ operator: authorization, correlationId });

const MAX_DAYS = 3660;
const DAY_MS = 86_400_000;

const usageBody = z.strictObject({ target: z.string().min(1).max(100), days: z.int().min(1).max(MAX_DAYS) });

const shown = z.object({ versions: z.array(z.object({ id: z.string().regex(/^[0-9a-f]{32}$/) })) });

/** The custodian says which versions the key has, to whom it tells that at all; the ledger says who used them. */
async function usage(services: AdminServices, call: GuardedCall, target: string, days: number): Promise<unknown> {
  const question = { ...from(call), method: 'POST', path: 'questions/show', body: { params: { target } } } as const;
  const { success, data } = shown.safeParse(await services.manageKeys(question));
  if (!success) throw new KeywardError('KEYS_UNAVAILABLE');
  return services.usesOfKeys(
    data.versions.map(({ id }) => id),
    new Date(call.at.getTime() - days * DAY_MS),
  );
}
