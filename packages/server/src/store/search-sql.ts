/** From a search to SQL: every filter is a set of ids from the index tables, and all values are parameters. */
import type { DataKey } from '@keyward/sdk/seal';
import { predicatesOf, TABLES_OF } from './search-predicates.ts';
import type { Filter, Search, SortRule } from './search-parse.ts';
import type { Statement } from './session.ts';

/** Takes a value, gives its placeholder. */
export type Bind = (value: unknown) => string;

export function pageStatement(search: Search, indexKey: DataKey): Statement {
  return build((bind) => {
    const { where, order } = parts(search, indexKey, bind);
    // One more than the page holds tells whether there is a next one.
    const limit = `LIMIT ${bind(search.count + 1)} OFFSET ${bind(search.offset)}`;
    return `SELECT v.type, v.id, v.version, v.last_updated, v.body
FROM (SELECT r.*, row_number() OVER (ORDER BY ${order}) AS place FROM resource r WHERE ${where} ORDER BY ${order} ${limit}) r
JOIN resource_version v USING (type, id, version) ORDER BY r.place`;
  });
}

export function countStatement(search: Search, indexKey: DataKey): Statement {
  return build((bind) => `SELECT count(*)::int AS total FROM resource r WHERE ${parts(search, indexKey, bind).where}`);
}

export function idsStatement(search: Search, indexKey: DataKey, limit: number): Statement {
  return build(
    (bind) => `SELECT r.id FROM resource r WHERE ${parts(search, indexKey, bind).where} LIMIT ${bind(limit)}`,
  );
}

function build(text: (bind: Bind) => string): Statement {
  const values: unknown[] = [];
  const bind: Bind = (value) => `$${values.push(value)}`;
  return { text: text(bind), values };
}

function parts({ type, filters, sort }: Search, indexKey: DataKey, bind: Bind) {
  const resourceType = bind(type);
  const conditions = filters.map((filter) => conditionOf(filter, resourceType, indexKey, bind));
  return {
    where: [`r.type = ${resourceType} AND NOT r.deleted`, ...conditions].join(' AND '),
    order: [...sort.map((rule) => orderBy(rule, resourceType, bind)), 'r.last_updated', 'r.id'].join(', '),
  };
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
