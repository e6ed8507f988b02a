/** From a search to SQL: every filter is a set of ids from the index tables, and all values are parameters. */
import type { DataKey } from '@keyward/sdk/seal';
import { predicatesOf, TABLES_OF } from './search-predicates.ts';
import type { Filter, Search, SortRule } from './search-parse.ts';
import type { Statement } from './session.ts';

/** Takes a value, gives its placeholder. */
export type Bind = (value: unknown) => string;

/** What the bodies of one page may weigh, so that no page outgrows what the gateway takes as one answer. */
const PAGE_BYTES = 16 * 1024 * 1024;

/** Of rows with `body` and `place`, those up to the budget; the first is always there, so that every page leads on. */
export const withinPageBytes = (rows: string): string => `
SELECT * FROM (SELECT *, sum(coalesce(octet_length(body), 0)) OVER (ORDER BY place) AS bytes FROM (${rows}) r) r
WHERE bytes <= ${PAGE_BYTES} OR bytes = octet_length(body) ORDER BY place`;

/** Each row tells by `found` how many there are up to one more than the page may hold. */
export function pageStatement(search: Search, indexKey: DataKey): Statement {
  return build((bind) => {
    const resourceType = bind(search.type);
    const after = search.after === undefined ? '' : ` AND r.id > ${bind(search.after)}`;
    const where = whereOf(search, resourceType, indexKey, bind) + after;
    const order = [...search.sort.map((rule) => orderBy(rule, resourceType, bind)), 'r.id'].join(', ');
    const limit = `LIMIT ${bind(search.count + 1)} OFFSET ${bind(search.offset)}`;
    return withinPageBytes(`SELECT v.type, v.id, v.version, v.last_updated, v.body, p.place, count(*) OVER ()::int AS found
FROM (SELECT r.type, r.id, r.version, row_number() OVER (ORDER BY ${order}) AS place FROM resource r WHERE ${where} ORDER BY ${order} ${limit}) p
JOIN resource_version v USING (type, id, version)`);
  });
}

export function countStatement(search: Search, indexKey: DataKey): Statement {
  return build(
    (bind) =>
      `SELECT count(*)::int AS total FROM resource r WHERE ${whereOf(search, bind(search.type), indexKey, bind)}`,
  );
}

function build(text: (bind: Bind) => string): Statement {
  const values: unknown[] = [];
  const bind: Bind = (value) => `$${values.push(value)}`;
  return { text: text(bind), values };
}

function whereOf({ filters }: Search, resourceType: string, indexKey: DataKey, bind: Bind): string {
  const conditions = filters.map((filter) => conditionOf(filter, resourceType, indexKey, bind));
  return [`r.type = ${resourceType} AND NOT r.deleted`, ...conditions].join(' AND ');
}

function conditionOf(filter: Filter, resourceType: string, indexKey: DataKey, bind: Bind): string {
  if (filter.type === 'id' || filter.type === 'lastUpdated') {
    return anyOf(predicatesOf(filter, indexKey, bind).map(({ sql }) => sql));
  }
  const param = bind(filter.code);
  const idsIn = (table: string, matching: string) =>
    `SELECT id FROM ${table} WHERE type = ${resourceType} AND param = ${param}${matching}`;
  if (filter.modifier === 'missing') {
    const all = TABLES_OF[filter.type].map((table) => idsIn(table, '')).join(' UNION ALL ');
    return predicatesOf(filter, indexKey, bind)
      .map(({ sql }) => `r.id ${sql} (${all})`)
      .join(' AND ');
  }
  const predicates = predicatesOf(filter, indexKey, bind);
  const selects = [...Map.groupBy(predicates, ({ table }) => table)].map(([table, alternatives]) =>
    idsIn(table, ` AND ${anyOf(alternatives.map(({ sql }) => sql))}`),
  );
  return `r.id ${filter.modifier === 'not' ? 'NOT IN' : 'IN'} (${selects.join(' UNION ALL ')})`;
}

const anyOf = (alternatives: readonly string[]): string => `(${alternatives.join(' OR ')})`;

/** Resources without the date come last either way. */
function orderBy({ code, by, descending }: SortRule, resourceType: string, bind: Bind): string {
  const direction = descending ? 'DESC' : 'ASC';
  if (by === 'id') return `r.id ${direction}`;
  if (by === 'lastUpdated') return `r.last_updated ${direction}`;
  const edge = descending ? 'max(d.end_at)' : 'min(d.start_at)';
  const date = `SELECT ${edge} FROM index_date d WHERE d.type = ${resourceType} AND d.id = r.id AND d.param = ${bind(code)}`;
  return `(${date}) ${direction} NULLS LAST`;
}
