/** Search parameters read strictly: what is not understood is refused, never ignored. */
import { KeywardError } from '../core/index.ts';
import { isResourceType } from '../phi/index.ts';
import { dateInterval } from './dates.ts';
import { LOCAL_REFERENCE } from './index-rows.ts';
import { type Condition, readCondition, valueCount } from './search-filters.ts';
import { type IncludeRule, readInclude } from './search-includes.ts';
import { type Order, ORDER_BY_ID, type Place, readOrder, readPlace } from './search-order.ts';
import type { SearchPair } from './types.ts';

const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
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
  readonly conditions: readonly Condition[];
  readonly order: Order;
  /** Where the page before ended. */
  readonly after: Place | undefined;
  readonly includes: readonly IncludeRule[];
  /** `_total=accurate`, or `_summary=count`. */
  readonly withTotal: boolean;
}

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

/** What is read once all parameters are known: a place depends on the order. */
interface SearchDraft extends Search {
  readonly place: string | undefined;
}

/** Parameters that steer the result instead of choosing resources. */
const SEARCH_CONTROLS: Controls<SearchDraft> = {
  ...PAGE_CONTROLS,
  _after: (draft, value) => void (draft.place = value),
  _sort: (draft, value) => void (draft.order = readOrder(draft.type, value)),
  _total: (draft, value) => void (draft.withTotal = oneOf(value, ['accurate', 'none']) === 'accurate'),
  _summary: (draft, value) => {
    if (oneOf(value, ['count', 'false']) === 'count') Object.assign(draft, { count: 0, withTotal: true });
  },
  _include: (draft, value) => include(draft, value, { reverse: false, iterate: false }),
  '_include:iterate': (draft, value) => include(draft, value, { reverse: false, iterate: true }),
  _revinclude: (draft, value) => include(draft, value, { reverse: true, iterate: false }),
  '_revinclude:iterate': (draft, value) => include(draft, value, { reverse: true, iterate: true }),
};

function include(draft: Draft<SearchDraft>, value: string, kind: Pick<IncludeRule, 'reverse' | 'iterate'>): void {
  draft.includes = [...draft.includes, readInclude(draft.type, value, kind)];
}

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function parseHistory(pairs: Iterable<SearchPair>): HistoryRequest {
  const draft: Draft<HistoryRequest> = { count: DEFAULT_COUNT, after: undefined };
  readControls(pairs, HISTORY_CONTROLS, draft);
  return draft;
}

/** Every pair must be a control. @throws KeywardError `FHIR_PARAM_UNSUPPORTED`, or what a control throws */
function readControls<Request>(pairs: Iterable<SearchPair>, controls: Controls<Request>, draft: Draft<Request>): void {
  for (const [name, value] of pairs) {
    const control = controlOf(controls, name);
    if (!control) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
    control(draft, value);
  }
}

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function parseSearch(type: string, pairs: readonly SearchPair[]): Search {
  const draft: Draft<SearchDraft> = { ...everyResourceOf(type), place: undefined };
  const conditions: Condition[] = [];
  for (const [name, value] of pairs) {
    const control = controlOf(SEARCH_CONTROLS, name);
    if (control) control(draft, value);
    else conditions.push(readCondition([type], name, value));
  }
  refuseTooMany(pairs, conditions, draft.order.rules.length);
  const { place, ...search } = draft;
  return { ...search, conditions, after: place === undefined ? undefined : readPlace(draft.order, place) };
}

/**
 * The criteria of a conditional create: conditions alone, at least one.
 * @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID`
 */
export function parseCriteria(type: string, pairs: readonly SearchPair[]): Search {
  const conditions = pairs.map(([name, value]) => readCondition([type], name, value));
  if (conditions.length === 0) throw new KeywardError('FHIR_PARAM_INVALID');
  refuseTooMany(pairs, conditions, 0);
  return { ...everyResourceOf(type), conditions };
}

const everyResourceOf = (type: string): Search => ({
  type,
  conditions: [],
  order: ORDER_BY_ID,
  count: DEFAULT_COUNT,
  after: undefined,
  includes: [],
  withTotal: false,
});

function refuseTooMany(pairs: readonly SearchPair[], conditions: readonly Condition[], ruleCount: number): void {
  const values = conditions.reduce((sum, condition) => sum + valueCount(condition), ruleCount);
  if (pairs.length > MAX_PARAMETERS || values > MAX_VALUES) throw new KeywardError('FHIR_PARAM_INVALID');
}

const controlOf = <Request>(controls: Controls<Request>, name: string) =>
  Object.hasOwn(controls, name) ? controls[name] : undefined;

export interface EverythingRequest extends PageRequest {
  /** All types when undefined. */
  readonly types: readonly string[] | undefined;
  /** ISO 8601; only what was written at or after it. */
  readonly since: string | undefined;
  /** Type and id of the last resource of the page before. */
  readonly after: readonly [type: string, id: string] | undefined;
}

const EVERYTHING_CONTROLS: Controls<EverythingRequest> = {
  ...PAGE_CONTROLS,
  _type: (draft, value) => void (draft.types = [...(draft.types ?? []), ...value.split(',').map(readType)]),
  _since: (draft, value) => void (draft.since = dateInterval(value)?.start ?? invalid()),
  _after: (draft, value) => void (draft.after = readAddress(value)),
};

/** `start` and `end` are not supported. @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function parseEverything(pairs: readonly SearchPair[]): EverythingRequest {
  const draft: Draft<EverythingRequest> = {
    count: DEFAULT_COUNT,
    types: undefined,
    since: undefined,
    after: undefined,
  };
  readControls(pairs, EVERYTHING_CONTROLS, draft);
  return draft;
}

const readType = (value: string): string => (isResourceType(value) ? value : invalid());

function readAddress(value: string): [type: string, id: string] {
  const [, type, id] = LOCAL_REFERENCE.exec(value) ?? [];
  return type && id ? [type, id] : invalid();
}

function invalid(): never {
  throw new KeywardError('FHIR_PARAM_INVALID');
}

function readCount(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new KeywardError('FHIR_PARAM_INVALID');
  return Number(value);
}

function oneOf(value: string, allowed: readonly string[]): string {
  if (!allowed.includes(value)) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  return value;
}
