/** The custodian's desk for operators as the command line reaches it: through the admin API, with the operator's token. */
import type { Json } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import type { CliContext, TokenSourceOptions } from '../context.ts';
import { at, textAt } from '../json.ts';
import { bodyOf } from '../refusal.ts';
import { openSession } from '../session.ts';
import { type RequestView, requestView } from './request-view.ts';

export interface KeysDesk extends AsyncDisposable {
  /** What came of it, or the request that waits for approvals. */
  act(name: string, params: Json, reason: string): Promise<Json>;
  ask(name: string, params: Json): Promise<Json>;
  requests(which: 'open' | 'newest' | { readonly id: string }): Promise<RequestView[]>;
  approve(id: string, signature: string): Promise<RequestView>;
  withdraw(id: string, reason: string): Promise<RequestView>;
  usage(target: string, days: number): Promise<Json>;
  me(): Promise<Me>;
  /** Scope of a patient by the Patient's id at the FHIR server. */
  scopeOf(patient: string): Promise<string>;
}

const me = z.object({ tenant: z.string(), issuer: z.string(), sub: z.string() });
export type Me = z.infer<typeof me>;

/** Policy role of operators' tokens; what an operator may do with keys, the custodian knows. */
const OPERATOR = 'admin';

export function openDesk(context: CliContext, options: TokenSourceOptions): KeysDesk {
  const session = openSession(context, options);
  const post = async (path: string, body: Json): Promise<Json> =>
    bodyOf(await session.admin(OPERATOR, `v1/keys/${path}`, { method: 'POST', body, type: 'application/json' }));
  const ask = (name: string, params: Json) => post(`questions/${name}`, { params });
  return {
    act: (name, params, reason) => post(`acts/${name}`, { params, reason }),
    ask,
    async requests(which) {
      const wanted = typeof which === 'string' ? { which } : which;
      return read(z.object({ requests: z.array(requestView) }), await post('requests', wanted)).requests;
    },
    approve: async (id, signature) => read(requestView, await post(`requests/${id}/approve`, { signature })),
    withdraw: async (id, reason) => read(requestView, await post(`requests/${id}/cancel`, { reason })),
    usage: (target, days) => post('usage', { target, days }),
    me: async () => read(me, await ask('me', {})),
    async scopeOf(patient) {
      const answer = bodyOf(await session.fhir(OPERATOR, `Patient/${patient}/$keyward-scope`, { method: 'POST' }));
      const urn = textAt(at(answer, 'parameter', 0), 'valueUuid') ?? '';
      if (!urn.startsWith(UUID_URN)) throw new KeywardError('CLI_REQUEST_FAILED');
      return urn.slice(UUID_URN.length);
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

const UUID_URN = 'urn:uuid:';

/** What answers otherwise is no Keyward of this version. */
function read<T>(schema: z.ZodType<T>, answer: Json): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw new KeywardError('CLI_REQUEST_FAILED', { cause: result.error });
}
