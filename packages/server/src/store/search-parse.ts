/** Search parameters read strictly: what is not understood is refused, never ignored. */
import { KeywardError } from '../core/index.ts';
import { isIndexable } from './index-rows.ts';
import { type IndexedParameter, indexedParameters, type NativeColumn, nativeColumn } from './parameters.ts';
import type { SearchPair } from './types.ts';

const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
const MAX_OFFSET = 1_000_000;
/** Each becomes a part of one SQL statement. */
const MAX_PARAMETERS = 50;
const MAX_VALUES = 500;

export interface PageRequest {
  readonly count: number;
}

export interface HistoryRequest extends PageRequest {
  /** The last version of the page before. */
  readonly after: number | undefined;
}

export interface Search extends PageRequest {
  readonly type: string;
  /** All of them must hold. */
  readonly filters: readonly Filter[];
  readonly sort: readonly SortRule[];
  /** Only with `sort`. */
  readonly offset: number;
  /** The last id of the page before; only without `sort`. */
  readonly after: string | undefined;
  /** `_total=accurate`, or `_summary=count`. */
  readonly withTotal: boolean;
}

export interface Filter {
  readonly code: string;
  readonly type: IndexedParameter['type'] | NativeColumn;
  readonly modifier: string;
  /** One of them must hold. Escapes are still in place. */
  readonly values: readonly string[];
}

export interface SortRule {
  readonly code: string;
  readonly by: NativeColumn | 'date';
  readonly descending: boolean;
}

/** Modifiers by parameter type; `:[Type]` on references besides. `:exact` is what an index of whole values does anyway. */
const MODIFIERS: Readonly<Record<Filter['type'], readonly string[]>> = {
  token: ['', 'not', 'missing'],
  string: ['', 'exact', 'missing'],
  reference: ['', 'missing'],
  date: ['', 'missing'],
  uri: ['', 'missing'],
  number: ['', 'missing'],
  quantity: ['', 'missing'],
  id: [''],
  lastUpdated: [''],
};
const TYPE_MODIFIER = /^[A-Z][A-Za-z]+$/;

type Draft<Request> = { -readonly [Name in keyof Request]: Request[Name] };
type Controls<Request> = Readonly<Record<string, (draft: Draft<Request>, value: string) => void>>;

const PAGE_CONTROLS: Controls<PageRequest> = {
  _count: (draft, value) => void (draft.count = Math.min(readCount(value), MAX_COUNT)),
  _format: (_draft, value) => void oneOf(value, ['json', 'application/json', 'application/fhir+json']),
};

/** A history has no others: `_since` and `_at` are not supported. */
const HISTORY_CONTROLS: Controls<HistoryRequest> = {
  ...PAGE_CONTROLS,
  _after: (draft, value) => void (draft.after = readCount(value)),
};

/** Parameters that steer the result instead of choosing resources. */
const SEARCH_CONTROLS: Controls<Search> = {
  ...PAGE_CONTROLS,
  _after: (draft, value) => void (draft.after = value),
  _offset: (draft, value) => void (draft.offset = atMost(readCount(value), MAX_OFFSET)),
  _sort: (draft, value) => void (draft.sort = value.split(',').map((rule) => readSort(draft.type, rule))),
  _total: (draft, value) => void (draft.withTotal = oneOf(value, ['accurate', 'none']) === 'accurate'),
  _summary: (draft, value) => {
    if (oneOf(value, ['count', 'false']) === 'count') Object.assign(draft, { count: 0, withTotal: true });
  },
};

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function parseHistory(pairs: Iterable<SearchPair>): HistoryRequest {
  const draft: Draft<HistoryRequest> = { count: DEFAULT_COUNT, after: undefined };
  for (const [name, value] of pairs) {
    const control = controlOf(HISTORY_CONTROLS, name);
    if (!control) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
    control(draft, value);
  }
  return draft;
}

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function parseSearch(type: string, pairs: readonly SearchPair[]): Search {
  const draft: Draft<Search> = {
    type,
    filters: [],
    sort: [],
    count: DEFAULT_COUNT,
    offset: 0,
    after: undefined,
    withTotal: false,
  };
  const filters: Filter[] = [];
  for (const [name, value] of pairs) {
    const control = controlOf(SEARCH_CONTROLS, name);
    if (control) control(draft, value);
    else filters.push(readFilter(type, name, value));
  }
  const search = { ...draft, filters };
  if (pairs.length > MAX_PARAMETERS || valueCount(search) > MAX_VALUES || !isPlaced(search))
    throw new KeywardError('FHIR_PARAM_INVALID');
  return search;
}

const controlOf = <Request>(controls: Controls<Request>, name: string) =>
  Object.hasOwn(controls, name) ? controls[name] : undefined;

const valueCount = ({ filters, sort }: Search): number =>
  filters.reduce((sum, { values }) => sum + values.length, sort.length);

/** Ids go with the store's own order, an offset with the client's. */
const isPlaced = ({ sort, offset, after }: Search): boolean =>
  sort.length > 0 ? after === undefined : offset === 0 && (after === undefined || isIndexable(after));

function readFilter(resourceType: string, name: string, value: string): Filter {
  const [code = '', modifier = '', ...more] = name.split(':');
  const type = typeOf(resourceType, code);
  const known = type && (MODIFIERS[type].includes(modifier) || (type === 'reference' && TYPE_MODIFIER.test(modifier)));
  if (!known || more.length > 0) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  const values = splitUnescaped(value, ',');
  if (!values.every((one) => one !== '' && isIndexable(one))) throw new KeywardError('FHIR_PARAM_INVALID');
  return { code, type, modifier, values };
}

const typeOf = (resourceType: string, code: string): Filter['type'] | undefined =>
  nativeColumn(code) ?? indexedParameters(resourceType).get(code)?.type;

function readSort(resourceType: string, rule: string): SortRule {
  const descending = rule.startsWith('-');
  const code = descending ? rule.slice(1) : rule;
  const by = typeOf(resourceType, code);
  if (by !== 'id' && by !== 'lastUpdated' && by !== 'date') throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  return { code, by, descending };
}

export function readCount(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new KeywardError('FHIR_PARAM_INVALID');
  return Number(value);
}

function atMost(value: number, limit: number): number {
  if (value > limit) throw new KeywardError('FHIR_PARAM_INVALID');
  return value;
}

function oneOf(value: string, allowed: readonly string[]): string {
  if (!allowed.includes(value)) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  return value;
}

/** Splits at a separator that no backslash precedes (R4 §3.1.1.4.1); the escapes stay. */
export function splitUnescaped(text: string, separator: ',' | '|'): string[] {
  const parts = [''];
  for (const [piece] of text.matchAll(/\\.|./gsu)) {
    if (piece === separator) parts.push('');
    else parts.push((parts.pop() ?? '') + piece);
  }
  return parts;
}

export const unescape = (text: string): string => text.replace(/\\([\\,|$])/g, '$1');
