/** The order of a search's results, and the places in it where pages begin. */
import { KeywardError } from '../core/index.ts';
import type { Bind } from './search-sql.ts';
import { typeOf } from './search-filters.ts';

interface SortRule {
  readonly code: string;
  readonly by: 'lastUpdated' | 'date';
  readonly descending: boolean;
}

/** Ids come last in every order, so that no two resources share a place. */
export interface Order {
  readonly rules: readonly SortRule[];
  /** As the rule before them, so that one index scan yields both. */
  readonly idsDescending: boolean;
}

/** Where the page before ended: the value of each rule, and the id. */
export type Place = readonly string[];

export const ORDER_BY_ID: Order = { rules: [], idsDescending: false };

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` */
export function readOrder(resourceType: string, value: string): Order {
  const keys = value.split(',').map((key) => readKey(resourceType, key));
  // No two ids are equal, so that what follows them orders nothing.
  const ids = keys.findIndex(({ by }) => by === 'id');
  const rules = (ids < 0 ? keys : keys.slice(0, ids)).filter((key): key is SortRule => key.by !== 'id');
  return { rules, idsDescending: (ids < 0 ? keys.at(-1) : keys[ids])?.descending ?? false };
}

type SortKey = Omit<SortRule, 'by'> & { readonly by: SortRule['by'] | 'id' };

function readKey(resourceType: string, key: string): SortKey {
  const descending = key.startsWith('-');
  const code = descending ? key.slice(1) : key;
  const by = typeOf(resourceType, code);
  if (by !== 'id' && by !== 'lastUpdated' && by !== 'date') throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  return { code, by, descending };
}

/** As PostgreSQL writes a timestamp without zone; no id has a comma or a blank. */
const INSTANT = /^(?:-?infinity|\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)$/;
const ID = /^[A-Za-z0-9.-]{1,64}$/;

/** @throws KeywardError `FHIR_PARAM_INVALID` for what is no place in this order */
export function readPlace({ rules }: Order, text: string): Place {
  const place = text.split(',');
  const isPlace = place.length === rules.length + 1 && ID.test(place.at(-1) ?? '');
  if (!isPlace || !place.slice(0, -1).every((part) => INSTANT.test(part))) throw new KeywardError('FHIR_PARAM_INVALID');
  return place;
}

export const writePlace = (place: Place): string => place.join(',');

/** Expressions of the rules, without the id. */
export const sortKeys = ({ rules }: Order, bind: Bind): string[] =>
  rules.map(({ by, code, descending }) => (by === 'date' ? dateKey(code, descending, bind) : 'r.last_updated'));

/** Resources without the date come last either way. */
function dateKey(code: string, descending: boolean, bind: Bind): string {
  const [edge, last] = descending ? ['max(d.end_at)', '-infinity'] : ['min(d.start_at)', 'infinity'];
  const date = `SELECT ${edge} FROM index_date d WHERE d.type = r.type AND d.id = r.id AND d.param = ${bind(code)}`;
  return `coalesce((${date}), '${last}')`;
}

/** The place of a row as a `text[]`; in UTC, so that no session's time zone stands in it. */
export const placeOf = (keys: readonly string[]): string =>
  `ARRAY[${[...keys.map((key) => `(${key} AT TIME ZONE 'UTC')::text`), 'r.id'].join(', ')}]`;

const direction = (descending: boolean): string => (descending ? 'DESC' : 'ASC');

export const orderBy = ({ rules, idsDescending }: Order, keys: readonly string[]): string =>
  [
    ...keys.map((key, index) => `${key} ${direction(rules[index]?.descending ?? false)}`),
    `r.id ${direction(idsDescending)}`,
  ].join(', ');

/** What comes after a place: one comparison of rows where all keys run one way, which an index answers. */
export function isAfter({ rules, idsDescending }: Order, keys: readonly string[], place: Place, bind: Bind): string {
  const columns = [...keys, 'r.id'];
  const values = place.map((part, index) =>
    index === keys.length ? bind(part) : `(${bind(part)}::timestamp AT TIME ZONE 'UTC')`,
  );
  const directions = [...rules.map(({ descending }) => descending), idsDescending];
  const operator = (index: number) => (directions[index] ? '<' : '>');
  if (new Set(directions).size === 1) return `(${columns.join(', ')}) ${operator(0)} (${values.join(', ')})`;
  const alternatives = columns.map((column, index) => {
    const equal = columns.slice(0, index).map((one, at) => `${one} = ${values[at]}`);
    return `(${[...equal, `${column} ${operator(index)} ${values[index]}`].join(' AND ')})`;
  });
  return `(${alternatives.join(' OR ')})`;
}
