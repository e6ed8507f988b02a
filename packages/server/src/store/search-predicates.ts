/** What one value of a search parameter means for the rows of an index table. */
import type { DataKey } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { dateInterval } from './dates.ts';
import { ANY_SYSTEM, LOCAL_REFERENCE, systemToken, valueToken } from './index-rows.ts';
import type { IndexTable } from './migrations.ts';
import { type Filter, splitUnescaped, unescape } from './search-filters.ts';
import type { Bind } from './search-sql.ts';
import { soughtTokens } from './string-tokens.ts';

export interface Predicate {
  readonly table: IndexTable | 'resource';
  readonly sql: string;
}

type IndexedType = Exclude<Filter['type'], 'id' | 'lastUpdated'>;

/** Where the rows of each parameter type lie. */
export const TABLES_OF: Readonly<Record<IndexedType, readonly IndexTable[]>> = {
  token: ['index_code', 'index_blind'],
  string: ['index_blind'],
  reference: ['index_reference', 'index_code'],
  date: ['index_date'],
  uri: ['index_code'],
  number: ['index_quantity'],
  quantity: ['index_quantity'],
};

interface Term {
  readonly filter: Filter;
  readonly value: string;
  readonly indexKey: DataKey;
  readonly bind: Bind;
}

const PREDICATES: Readonly<Record<Filter['type'], (term: Term) => Predicate[]>> = {
  token: tokenPredicates,
  string: ({ filter, value, indexKey, bind }) =>
    soughtTokens(indexKey, filter.code, unescape(value), filter.modifier === 'exact').map((token) =>
      blind(token, bind),
    ),
  reference: (term) => [referencePredicate(term)],
  date: ({ value, bind }) => [{ table: 'index_date', sql: datePredicate(value, bind, 'start_at', 'end_at') }],
  uri: ({ value, bind }) => [{ table: 'index_code', sql: `code = ${bind(unescape(value))}` }],
  number: ({ value, bind }) => [{ table: 'index_quantity', sql: numberPredicate(value, bind) }],
  quantity: ({ value, bind }) => [{ table: 'index_quantity', sql: quantityPredicate(value, bind) }],
  id: ({ value, bind }) => [{ table: 'resource', sql: `r.id = ${bind(value)}` }],
  lastUpdated: ({ value, bind }) => [
    { table: 'resource', sql: datePredicate(value, bind, 'r.last_updated', LAST_UPDATED_END) },
  ],
};

/** An instant of millisecond precision, as the interval it stands for. */
const LAST_UPDATED_END = "(r.last_updated + interval '1 millisecond')";

/** One of these must hold. For `:missing` the SQL is only the word between the id and the set of all that have a value. */
export function predicatesOf(filter: Filter, indexKey: DataKey, bind: Bind): Predicate[] {
  if (filter.modifier === 'missing') return filter.values.map((value) => ({ table: 'resource', sql: missing(value) }));
  return filter.values.flatMap((value) => PREDICATES[filter.type]({ filter, value, indexKey, bind }));
}

const MISSING: Readonly<Record<string, string>> = { true: 'NOT IN', false: 'IN' };
const missing = (value: string): string => MISSING[value] ?? invalid();

/** `system|code`, `code`, `|code`, `system|`: on codes, or blindly on identifiers and contact points. */
function tokenPredicates({ filter, value, indexKey, bind }: Term): Predicate[] {
  const parts = splitUnescaped(value, '|').map(unescape);
  const [first = '', code = ''] = parts;
  if (parts.length > 2 || value === '|') return invalid();
  if (parts.length === 1) {
    return [
      { table: 'index_code', sql: `code = ${bind(first)}` },
      blind(valueToken(indexKey, filter.code, ANY_SYSTEM, first), bind),
    ];
  }
  if (code === '') {
    return [
      { table: 'index_code', sql: `system = ${bind(first)}` },
      blind(systemToken(indexKey, filter.code, first), bind),
    ];
  }
  return [
    { table: 'index_code', sql: `code = ${bind(code)} AND system = ${bind(first)}` },
    blind(valueToken(indexKey, filter.code, first, code), bind),
  ];
}

/** A value of which nothing is left after normalising matches nothing. */
const blind = (token: string | undefined, bind: Bind): Predicate => ({
  table: 'index_blind',
  sql: token === undefined ? 'false' : `token = ${bind(token)}`,
});

const BARE_ID = /^[A-Za-z0-9.-]{1,64}$/;

/** `Type/id`, `id`, `:Type` with `id`; the URL of a definition for canonicals. */
function referencePredicate({ filter, value, bind }: Term): Predicate {
  const type = filter.modifier;
  const local = LOCAL_REFERENCE.exec(value);
  if (local && (type === '' || type === local[1])) {
    return { table: 'index_reference', sql: `target_id = ${bind(local[2])} AND target_type = ${bind(local[1])}` };
  }
  if (BARE_ID.test(value)) {
    return {
      table: 'index_reference',
      sql: `target_id = ${bind(value)}${type === '' ? '' : ` AND target_type = ${bind(type)}`}`,
    };
  }
  if (type === '' && value.includes('://')) return { table: 'index_code', sql: `code = ${bind(unescape(value))}` };
  return invalid();
}

/** R4 §3.1.1.4.7: [start, end) is the stored date, S and E the bounds of the one searched for. */
const DATE_PREFIXES: Readonly<Record<string, (start: string, end: string, S: Bound, E: Bound) => string>> = {
  eq: (start, end, S, E) => `(${start} >= ${S()} AND ${end} <= ${E()})`,
  ne: (start, end, S, E) => `NOT (${start} >= ${S()} AND ${end} <= ${E()})`,
  gt: (_start, end, _S, E) => `${end} > ${E()}`,
  lt: (start, _end, S) => `${start} < ${S()}`,
  ge: (start, end, S, E) => `(${end} > ${E()} OR (${start} >= ${S()} AND ${end} <= ${E()}))`,
  le: (start, end, S, E) => `(${start} < ${S()} OR (${start} >= ${S()} AND ${end} <= ${E()}))`,
  sa: (start, _end, _S, E) => `${start} >= ${E()}`,
  eb: (_start, end, S) => `${end} <= ${S()}`,
};

/** Binds its value when it is written, since PostgreSQL refuses parameters that no one uses. */
type Bound = () => string;

function datePredicate(value: string, bind: Bind, start: string, end: string): string {
  const { prefix, rest } = splitPrefix(value);
  const interval = dateInterval(rest) ?? invalid();
  const render = DATE_PREFIXES[prefix] ?? unsupported();
  const bound = (instant: string) => () => `${bind(instant)}::timestamptz`;
  return render(start, end, bound(interval.start), bound(interval.end));
}

/** As above for numbers: equal means within the precision that was written (100 is from 99.5 up to 100.5). */
const NUMBER_PREFIXES: Readonly<Record<string, (low: Bound, exact: Bound, high: Bound) => string>> = {
  eq: (low, _exact, high) => `(value >= ${low()} AND value < ${high()})`,
  ne: (low, _exact, high) => `NOT (value >= ${low()} AND value < ${high()})`,
  gt: (_low, exact) => `value > ${exact()}`,
  lt: (_low, exact) => `value < ${exact()}`,
  ge: (_low, exact) => `value >= ${exact()}`,
  le: (_low, exact) => `value <= ${exact()}`,
};

const NUMBER = /^-?\d{1,30}(?:\.(\d{1,30}))?(?:[eE]([+-]?\d{1,2}))?$/;

function numberPredicate(value: string, bind: Bind): string {
  const { prefix, rest } = splitPrefix(value);
  const match = NUMBER.exec(rest) ?? invalid();
  const exact = Number(rest);
  const half = 0.5 * 10 ** (Number(match[2] ?? 0) - (match[1]?.length ?? 0));
  const render = NUMBER_PREFIXES[prefix] ?? unsupported();
  const bound = (number: number) => () => `${bind(number)}::float8`;
  return render(bound(exact - half), bound(exact), bound(exact + half));
}

/** `number`, `number|system|code`, `number||code`. */
function quantityPredicate(value: string, bind: Bind): string {
  const [number = '', system = '', code = '', ...more] = splitUnescaped(value, '|').map(unescape);
  if (more.length > 0) return invalid();
  const units = [system && `system = ${bind(system)}`, code && `code = ${bind(code)}`].filter(Boolean);
  return [numberPredicate(number, bind), ...units].join(' AND ');
}

function splitPrefix(value: string): { prefix: string; rest: string } {
  const match = /^([a-z]{2})(.*)$/s.exec(value);
  return { prefix: match?.[1] ?? 'eq', rest: match?.[2] ?? value };
}

function invalid(): never {
  throw new KeywardError('FHIR_PARAM_INVALID');
}

function unsupported(): never {
  throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
}
