/** The routes of the admin API, as a table: who may read what. */
import type { z } from 'zod';
import { KeywardError } from '../core/index.ts';
import type { LedgerEntry, TailQuery } from '../ledger/index.ts';
import { type LedgerQuery, ledgerQuery, nothing, resourceName } from './queries.ts';

/** What the API answers from; `main.ts` connects the rooms. */
export interface AdminServices {
  tailLedger(query: TailQuery): Promise<readonly LedgerEntry[]>;
  /**
   * What the database holds of one resource (and, as `received`, the sealed resource that reached the FHIR server);
   * undefined when it holds nothing.
   */
  atRest(type: string, id: string): Promise<unknown>;
  /** Every part this instance needs, and whether it can serve. */
  ready(): Promise<Record<string, boolean>>;
}

/** A request that passed its shape: what it is about, and how it is answered. */
interface Prepared {
  readonly resources: readonly string[];
  answer(services: AdminServices): Promise<unknown>;
}

export interface GuardedRoute {
  /** Constant name for ledger and metrics; never the URL. */
  readonly name: string;
  readonly url: string;
  readonly roles: readonly string[];
  /** @throws KeywardError `ADMIN_QUERY_INVALID` */
  prepare(params: unknown, query: unknown): Prepared;
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

/** Every route that tells something about a person, a process or a record. */
export const GUARDED_ROUTES: readonly GuardedRoute[] = [
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
  return { name, url, roles, prepare };
}

/** Names the parameters at fault and never their values, nor names we do not know. */
function parse<T>(schema: z.ZodType<T>, raw: unknown): T {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const names = result.error.issues.map((issue) => String(issue.path[0] ?? 'an unknown parameter'));
  throw new KeywardError('ADMIN_QUERY_INVALID', { detail: `Not acceptable: ${[...new Set(names)].join(', ')}.` });
}
