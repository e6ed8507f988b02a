/** Search parameters read strictly: what is not understood is refused, never ignored. */
import { KeywardError } from '../core/index.ts';
import { isIndexable } from './index-rows.ts';
import { type IndexedParameter, indexedParameters } from './parameters.ts';
import type { SearchPair } from './types.ts';

const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
const MAX_OFFSET = 1_000_000;

export interface Search {
  readonly type: string;
  /** All of them must hold. */
  readonly filters: readonly Filter[];
  readonly sort: readonly SortRule[];
  readonly count: number;
  readonly offset: number;
  /** `_total=accurate`, or `_summary=count`. */
  readonly withTotal: boolean;
}

export interface Filter {
  readonly code: string;
  readonly type: IndexedParameter['type'] | NativeParameter;
  readonly modifier: string;
  /** One of them must hold. Escapes are still in place. */
  readonly values: readonly string[];
}

/** What is kept as a column of the resource. */
type NativeParameter = 'id' | 'lastUpdated';
const NATIVE: Readonly<Record<string, NativeParameter>> = { _id: 'id', _lastUpdated: 'lastUpdated' };

export interface SortRule {
  readonly code: string;
  readonly by: NativeParameter | 'date';
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

type Draft = { -readonly [Name in keyof Search]: Search[Name] };

/** Parameters that steer the result instead of choosing resources. */
const CONTROLS: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  _count: (draft, value) => void (draft.count = Math.min(readCount(value), MAX_COUNT)),
  _offset: (draft, value) => void (draft.offset = atMost(readCount(value), MAX_OFFSET)),
  _sort: (draft, value) => void (draft.sort = value.split(',').map((rule) => readSort(draft.type, rule))),
  _total: (draft, value) => void (draft.withTotal = oneOf(value, ['accurate', 'none']) === 'accurate'),
  _summary: (draft, value) => {
    if (oneOf(value, ['count', 'false']) === 'count') Object.assign(draft, { count: 0, withTotal: true });
  },
  _format: (_draft, value) => void oneOf(value, ['json', 'application/json', 'application/fhir+json']),
};

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function parseSearch(type: string, pairs: Iterable<SearchPair>): Search {
  const draft: Draft = { type, filters: [], sort: [], count: DEFAULT_COUNT, offset: 0, withTotal: false };
  const filters: Filter[] = [];
  for (const [name, value] of pairs) {
    const control = Object.hasOwn(CONTROLS, name) ? CONTROLS[name] : undefined;
    if (control) control(draft, value);
    else filters.push(readFilter(type, name, value));
  }
  return { ...draft, filters };
}

/** For conditional interactions: criteria only, and at least one, since "any resource" is no condition. */
export function parseCriteria(type: string, pairs: Iterable<SearchPair>): Search {
  const all = [...pairs];
  if (all.some(([name]) => Object.hasOwn(CONTROLS, name))) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  const search = parseSearch(type, all);
  if (search.filters.length === 0) throw new KeywardError('FHIR_PARAM_INVALID');
  return search;
}

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
  Object.hasOwn(NATIVE, code) ? NATIVE[code] : indexedParameters(resourceType).get(code)?.type;

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
