/** From a search to SQL: every condition is a set of ids from the index tables, and all values are parameters. */
import type { DataKey } from '@keyward/sdk/seal';
import type { Chain, Condition, Filter, Has } from './search-filters.ts';
import { isAfter, orderBy, placeOf, sortKeys } from './search-order.ts';
import type { Search } from './search-parse.ts';
import { predicatesOf, TABLES_OF } from './search-predicates.ts';
import type { Statement } from './session.ts';

/** Takes a value, gives its placeholder. */
export type Bind = (value: unknown) => string;

/** What the bodies of one page may weigh, so that no page outgrows what the gateway takes as one answer. */
const PAGE_BYTES = 16 * 1024 * 1024;

/** Of rows with `body` and `place`, those up to the budget; the first is always there, so that every page leads on. */
export const withinPageBytes = (rows: string): string => `
SELECT * FROM (SELECT *, sum(coalesce(octet_length(body), 0)) OVER (ORDER BY place) AS bytes FROM (${rows}) r) r
WHERE bytes <= ${PAGE_BYTES} OR bytes = octet_length(body) ORDER BY place`;

/** One more than the page may hold, to know whether there is a next one; each row tells by `found` how many there are. */
export const pageOf = (chosen: string): string =>
  withinPageBytes(`SELECT v.type, v.id, v.version, v.last_updated, v.body, p.place, p.keys, count(*) OVER ()::int AS found
FROM (${chosen}) p JOIN resource_version v USING (type, id, version)`);

export function pageStatement(search: Search, indexKey: DataKey): Statement {
  return build((bind) => {
    const { order, after, count } = search;
    const keys = sortKeys(order, bind);
    const where = [whereOf(search, indexKey, bind), ...(after ? [isAfter(order, keys, after, bind)] : [])].join(
      ' AND ',
    );
    const by = orderBy(order, keys);
    return pageOf(`SELECT r.type, r.id, r.version, ${placeOf(keys)} AS keys, row_number() OVER (ORDER BY ${by}) AS place
FROM resource r WHERE ${where} ORDER BY ${by} LIMIT ${bind(count + 1)}`);
  });
}

export function countStatement(search: Search, indexKey: DataKey): Statement {
  return build((bind) => `SELECT count(*)::int AS total FROM resource r WHERE ${whereOf(search, indexKey, bind)}`);
}

/** Two of the ids that each search finds, with the number of the search as `n`. */
export function candidatesStatement(
  searches: readonly (readonly [n: number, search: Search])[],
  indexKey: DataKey,
): Statement {
  return build((bind) =>
    searches
      .map(
        ([n, search]) =>
          `(SELECT ${bind(n)}::int AS n, r.id, r.version, r.last_updated FROM resource r WHERE ${whereOf(search, indexKey, bind)} LIMIT 2)`,
      )
      .join(' UNION ALL '),
  );
}

export function build(text: (bind: Bind) => string): Statement {
  const values: unknown[] = [];
  const bind: Bind = (value) => `$${values.push(value)}`;
  return { text: text(bind), values };
}

/** What is searched within: a comparison for columns that hold a type, and where values go. */
interface Scope {
  readonly isType: string;
  readonly indexKey: DataKey;
  readonly bind: Bind;
}

function whereOf({ type, conditions }: Search, indexKey: DataKey, bind: Bind): string {
  const scope = { isType: isOneOf([type], bind), indexKey, bind };
  return [resourcesOf(scope), ...conditions.map((condition) => conditionOf(condition, scope))].join(' AND ');
}

const resourcesOf = ({ isType }: Scope): string => `r.type ${isType} AND NOT r.deleted`;

/** Compared with one type, an index also yields its order. */
const isOneOf = (types: readonly string[], bind: Bind): string =>
  types.length === 1 ? `= ${bind(types[0])}` : `= ANY(${bind(types)}::text[])`;

/** About the resource `r`. */
function conditionOf(condition: Condition, scope: Scope): string {
  if (condition.kind === 'chain') return chainOf(condition, scope);
  return condition.kind === 'has' ? hasOf(condition, scope) : filterOf(condition, scope);
}

function chainOf({ code, targets, inner }: Chain, { isType, indexKey, bind }: Scope): string {
  const far = { isType: isOneOf(targets, bind), indexKey, bind };
  return `(r.type, r.id) IN (SELECT l.type, l.id FROM index_reference l
WHERE l.type ${isType} AND l.param = ${bind(code)} AND l.target_type ${far.isType} AND (l.target_type, l.target_id) IN (${matching(inner, far)}))`;
}

function hasOf({ type, code, inner }: Has, { isType, indexKey, bind }: Scope): string {
  const far = { isType: isOneOf([type], bind), indexKey, bind };
  return `(r.type, r.id) IN (SELECT l.target_type, l.target_id FROM index_reference l
WHERE l.type ${far.isType} AND l.param = ${bind(code)} AND l.target_type ${isType} AND (l.type, l.id) IN (${matching(inner, far)}))`;
}

/** The resources at the far end of a link for which a condition holds; what is deleted is none. */
const matching = (condition: Condition, scope: Scope): string =>
  `SELECT r.type, r.id FROM resource r WHERE ${resourcesOf(scope)} AND ${conditionOf(condition, scope)}`;

function filterOf(filter: Filter, { isType, indexKey, bind }: Scope): string {
  if (filter.type === 'id' || filter.type === 'lastUpdated') {
    return anyOf(predicatesOf(filter, indexKey, bind).map(({ sql }) => sql));
  }
  const param = bind(filter.code);
  const resourcesIn = (table: string, alternatives: string) =>
    `SELECT type, id FROM ${table} WHERE type ${isType} AND param = ${param}${alternatives}`;
  if (filter.modifier === 'missing') {
    const all = TABLES_OF[filter.type].map((table) => resourcesIn(table, '')).join(' UNION ALL ');
    return predicatesOf(filter, indexKey, bind)
      .map(({ sql }) => `(r.type, r.id) ${sql} (${all})`)
      .join(' AND ');
  }
  const predicates = predicatesOf(filter, indexKey, bind);
  const selects = [...Map.groupBy(predicates, ({ table }) => table)].map(([table, alternatives]) =>
    resourcesIn(table, ` AND ${anyOf(alternatives.map(({ sql }) => sql))}`),
  );
  return `(r.type, r.id) ${filter.modifier === 'not' ? 'NOT IN' : 'IN'} (${selects.join(' UNION ALL ')})`;
}

const anyOf = (alternatives: readonly string[]): string => `(${alternatives.join(' OR ')})`;
