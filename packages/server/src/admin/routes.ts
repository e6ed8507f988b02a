/** The routes of the admin API, as a table: who may read what. */
import type { z } from 'zod';
import { KeywardError } from '../core/index.ts';
import type { KeyUses, LedgerEntry, TailQuery } from '../ledger/index.ts';
import type { ManageKeys } from './key-management.ts';
import { type LedgerQuery, ledgerQuery, nothing, resourceName } from './queries.ts';

/** What the API answers from; `main.ts` connects the rooms. */
export interface AdminServices {
  tailLedger(query: TailQuery): Promise<readonly LedgerEntry[]>;
  /**
   * What the database holds of one resource (and, as `received`, the sealed resource that reached the FHIR server);
   * undefined when it holds nothing.
   */
  atRest(type: string, id: string): Promise<unknown>;
  /** Hands an operator's call on to the custodian, which judges it for itself. @throws KeywardError as the custodian refused */
  manageKeys: ManageKeys;
  /** Who used keys since then, from the ledger. */
  usesOfKeys(keyIds: readonly string[], since: Date): Promise<KeyUses>;
  /** Every part this instance needs, and whether it can serve. */
  ready(): Promise<Record<string, boolean>>;
}

/** A request that passed its shape: what it is about, and how it is answered. */
interface Prepared {
  readonly resources: readonly string[];
  answer(services: AdminServices, call: GuardedCall): Promise<unknown>;
}

/** What a route may hand on of the request it answers. */
export interface GuardedCall {
  /** The caller's token: `Bearer …`. */
  readonly authorization: string | undefined;
  readonly correlationId: string;
  readonly at: Date;
}

export interface GuardedRoute {
  /** Constant name for ledger and metrics; never the URL. */
  readonly name: string;
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly roles: readonly string[];
  /** @throws KeywardError `ADMIN_QUERY_INVALID` */
  prepare(params: unknown, query: unknown, body: unknown): Prepared;
  /** Where it is not 200. */
  statusOf?(answer: unknown): number;
}

const ledgerEntries = {
  params: nothing,
  query: ledgerQuery,
  resources: () => [],
  async answer(services: AdminServices, _params: unknown, query: LedgerQuery) {
    const entries = await services.tailLedger(query);
    // JSON has no bigint: positions travel as digits, as they do in `after`.
    return { entries: entries.map((entry) => ({ ...entry, position: String(entry.position) })) };
  },
};

const atRest = {
  params: resourceName,
  query: nothing,
  resources: ({ type, id }: z.infer<typeof resourceName>) => [`${type}/${id}`],
  async answer(services: AdminServices, { type, id }: z.infer<typeof resourceName>) {
    const held = await services.atRest(type, id);
    if (held === undefined) throw new KeywardError('FHIR_NOT_FOUND');
    return held;
  },
};

/** What is only read. */
export const READING_ROUTES: readonly GuardedRoute[] = [
  guarded('ledger.entries', '/v1/ledger/entries', ['auditor', 'admin'], ledgerEntries),
  guarded('store.at-rest', '/v1/store/at-rest/:type/:id', ['admin'], atRest),
];

interface Shape<Params, Query> {
  readonly params: z.ZodType<Params>;
  readonly query: z.ZodType<Query>;
  resources(params: Params): readonly string[];
  answer(services: AdminServices, params: Params, query: Query): Promise<unknown>;
}

function guarded<P, Q>(name: string, url: string, roles: readonly string[], shape: Shape<P, Q>): GuardedRoute {
  const prepare = (rawParams: unknown, rawQuery: unknown): Prepared => {
    const params = parse(shape.params, rawParams);
    const query = parse(shape.query, rawQuery);
    return { resources: shape.resources(params), answer: (services) => shape.answer(services, params, query) };
  };
  return { name, method: 'GET', url, roles, prepare };
}

/** Names the parameters at fault and never their values, nor names we do not know. */
export function parse<T>(schema: z.ZodType<T>, raw: unknown): T {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const names = result.error.issues.map((issue) => String(issue.path[0] ?? 'an unknown parameter'));
  throw new KeywardError('ADMIN_QUERY_INVALID', { detail: `Not acceptable: ${[...new Set(names)].join(', ')}.` });
}
