/** Turns a client's search into one the upstream can answer without seeing what is searched for. */
import { KeywardError } from '../core/index.ts';
import {
  type FieldClass,
  type IndexClass,
  isResourceType,
  searchParameterType,
  type SearchTarget,
  searchTarget,
} from '../phi/index.ts';
import type { Decision } from './policy.ts';

/** A condition checked on opened values, because the upstream only sees a coarser one. */
export interface PostFilter {
  /** Top-level element, e.g. `birthDate`. */
  readonly element: string;
  /** What its text must start with. */
  readonly prefix: string;
}

/** One OR-list of terms whose blind indexes replace the value of an upstream parameter. */
export interface BlindParameter {
  readonly name: string;
  readonly terms: readonly {
    readonly indexClass: IndexClass;
    readonly system: string;
    readonly text: string;
    readonly tokenSystem: string | undefined;
  }[];
}

export interface SearchPlan {
  /** Parameters that pass as they are. */
  readonly clear: readonly (readonly [name: string, value: string])[];
  readonly blind: readonly BlindParameter[];
  readonly filters: readonly PostFilter[];
  /** Opaque token of a page link; then nothing else is set. */
  readonly cursor: string | undefined;
}

/** A page holds at most this many; a larger wish is not an error (FHIR R4 §3.1.1.5.3). */
const MAX_COUNT = 1000;
export const pageSize = (count: string): string => String(Math.min(Number(count), MAX_COUNT));
/** More are no question a person asks; each costs a hash and a place in the upstream's query. */
const MAX_PARAMETERS = 50;
const MAX_ALTERNATIVES = 500;

/** Parameters about the result, not about resources. */
const RESULT_PARAMETERS: Readonly<Record<string, (value: string) => boolean>> = {
  _count: (value) => /^\d{1,9}$/.test(value),
  _sort: () => true,
  _total: (value) => value === 'none' || value === 'accurate',
  _format: (value) => /^(json|application\/(fhir\+)?json)$/.test(value),
  _pretty: (value) => value === 'true' || value === 'false',
};
/** Answered by the gateway itself. */
const NOT_FORWARDED = new Set(['_format', '_pretty']);

const CLASS_OF_INDEX: Readonly<Record<IndexClass, FieldClass>> = {
  family: 'name',
  given: 'name',
  identifier: 'identifier',
  phone: 'contact',
  email: 'contact',
  city: 'address',
  postalCode: 'address',
};

/** Elements behind the year-bucket parameters. */
const BUCKET_ELEMENT: Readonly<Record<string, string>> = { birthdate: 'birthDate', 'death-date': 'deceasedDateTime' };

interface Draft {
  readonly clear: [string, string][];
  readonly blind: BlindParameter[];
  readonly filters: PostFilter[];
}

/**
 * @param inUrl the parameters stand in a URL, so none may identify anybody (P1)
 * @throws KeywardError `FHIR_PHI_IN_URL` | `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` | `ACCESS_DENIED`
 */
export function planSearch(type: string, parameters: URLSearchParams, inUrl: boolean, decision: Decision): SearchPlan {
  const cursor = parameters.get('_cursor') ?? undefined;
  if (cursor !== undefined) {
    if (parameters.size !== 1 || !inUrl) throw new KeywardError('FHIR_CURSOR_INVALID');
    return { clear: [], blind: [], filters: [], cursor };
  }
  if (parameters.size > MAX_PARAMETERS)
    throw new KeywardError('FHIR_PARAM_INVALID', { detail: `At most ${MAX_PARAMETERS} parameters.` });
  const draft: Draft = { clear: [], blind: [], filters: [] };
  for (const [name, value] of parameters) planParameter(draft, type, name, value, inUrl, decision);
  if (decision.patient !== undefined) draft.clear.push(compartmentParameter(type, decision.patient));
  return { ...draft, cursor: undefined };
}

function planParameter(
  draft: Draft,
  type: string,
  name: string,
  value: string,
  inUrl: boolean,
  decision: Decision,
): void {
  const isValid = Object.hasOwn(RESULT_PARAMETERS, name) ? RESULT_PARAMETERS[name] : undefined;
  if (isValid) {
    if (!isValid(value)) throw new KeywardError('FHIR_PARAM_INVALID', { detail: `Parameter ${name}.` });
    if (name === '_sort') assertSortable(type, value);
    if (!NOT_FORWARDED.has(name)) draft.clear.push([name, name === '_count' ? pageSize(value) : value]);
    return;
  }
  const [code = '', modifier, ...more] = name.split(':');
  // A chain (`subject:Patient.name`, too) or _has asks about another resource; it is refused by name.
  const target = more.length > 0 || name.includes('.') ? undefined : searchTarget(type, code);
  if (!target) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  if (modifier === 'missing') return void draft.clear.push([name, missingValue(value)]);
  if (target.kind === 'clear') return void draft.clear.push([name, clearValue(type, code, modifier, value)]);
  if (inUrl) throw new KeywardError('FHIR_PHI_IN_URL');
  if (target.kind === 'refused') throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: `Parameter ${code}.` });
  if (modifier !== undefined && !(modifier === 'exact' && target.kind === 'blind-string')) {
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: `A modifier of parameter ${code}.` });
  }
  if (target.kind === 'year-bucket') return planBucket(draft, code, value, decision);
  assertSearchable(decision, target.classes);
  draft.blind.push(blindParameter(code, value, target));
}

/** Modifiers of parameters that touch nothing sealed. `:text`, `:contains` and the like search in displays and texts, which are sealed. */
const CLEAR_MODIFIERS: ReadonlySet<string> = new Set(['not', 'exact']);

function clearValue(type: string, code: string, modifier: string | undefined, value: string): string {
  alternativesOf(code, value);
  if (modifier === undefined || CLEAR_MODIFIERS.has(modifier)) return value;
  const narrowsType = searchParameterType(type, code) === 'reference' && isResourceType(modifier);
  if (!narrowsType) throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: `A modifier of parameter ${code}.` });
  return value;
}

function missingValue(value: string): string {
  if (value !== 'true' && value !== 'false')
    throw new KeywardError('FHIR_PARAM_INVALID', { detail: 'Modifier :missing.' });
  return value;
}

function assertSortable(type: string, value: string): void {
  for (const key of value.split(',')) {
    if (searchTarget(type, key.replace(/^-/, ''))?.kind !== 'clear')
      throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'Parameter _sort.' });
  }
}

/** Whoever may not open a class may not search by it either: the hits would tell (hapi-fhir #6065). */
function assertSearchable(decision: Decision, indexClasses: readonly IndexClass[]): void {
  if (indexClasses.some((indexClass) => !decision.open.has(CLASS_OF_INDEX[indexClass])))
    throw new KeywardError('ACCESS_DENIED');
}

/** FHIR R4 §3.1.1.4.19: a comma separates alternatives, a backslash escapes `, | $ \`. */
function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\') index++;
    else if (text[index] === separator) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  return [...parts, text.slice(start)];
}

const unescape = (text: string): string => text.replace(/\\([,|$\\])/g, '$1');

function alternativesOf(name: string, value: string): string[] {
  const alternatives = splitUnescaped(value, ',');
  if (alternatives.length <= MAX_ALTERNATIVES) return alternatives;
  throw new KeywardError('FHIR_PARAM_INVALID', {
    detail: `Parameter ${name}: at most ${MAX_ALTERNATIVES} alternatives.`,
  });
}

type BlindTarget = Extract<SearchTarget, { kind: 'blind-string' | 'blind-token' }>;

function blindParameter(name: string, value: string, target: BlindTarget): BlindParameter {
  const { classes } = target;
  const terms = alternativesOf(name, value).flatMap((alternative) => {
    const parts = target.kind === 'blind-token' ? splitUnescaped(alternative, '|') : [alternative];
    if (parts.length > 2) throw new KeywardError('FHIR_PARAM_INVALID', { detail: `Parameter ${name}.` });
    const text = unescape(parts.at(-1) as string);
    if (text.trim() === '') throw new KeywardError('FHIR_PARAM_INVALID', { detail: `Parameter ${name}.` });
    const system = parts.length === 2 ? unescape(parts[0] as string) : undefined;
    if (system === undefined && target.kind === 'blind-token' && target.systemRequired) {
      throw new KeywardError('FHIR_PARAM_UNSUPPORTED', {
        detail: `Parameter ${name} takes system|value on this type.`,
      });
    }
    return classes.map((indexClass) => ({ indexClass, text, ...termSystem(indexClass, system) }));
  });
  return { name, terms };
}

/**
 * Only identifiers have systems in their index; of a telecom the system is in the index class. The index without a system stands
 * beside every identifier of a list, under a system of ours, and in those that have none: it is asked for under any system.
 */
function termSystem(
  indexClass: IndexClass,
  system: string | undefined,
): { system: string; tokenSystem: string | undefined } {
  if (indexClass !== 'identifier') return { system: '', tokenSystem: undefined };
  return { system: system ?? '', tokenSystem: system };
}

function planBucket(draft: Draft, code: string, value: string, decision: Decision): void {
  if (!decision.open.has('birthDate')) throw new KeywardError('ACCESS_DENIED');
  const date = /^(?:eq)?(\d{4})((?:-\d{2}(?:-\d{2})?)?)$/.exec(value);
  const [, year, rest] = date ?? [];
  const element = BUCKET_ELEMENT[code];
  if (year === undefined || element === undefined) {
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', {
      detail: `Parameter ${code} takes one date or year, without prefix or list.`,
    });
  }
  draft.clear.push([code, year]);
  if (rest) draft.filters.push({ element, prefix: year + rest });
}

/** Narrows a search to the one patient whose compartment is permitted, at the upstream already. */
function compartmentParameter(type: string, patient: string): [string, string] {
  if (type === 'Patient') return ['_id', patient];
  if (searchTarget(type, 'patient')?.kind !== 'clear') throw new KeywardError('ACCESS_DENIED');
  return ['patient', `Patient/${patient}`];
}

/** Keeps what the opened values confirm. */
export function matchesFilters(resource: Readonly<Record<string, unknown>>, filters: readonly PostFilter[]): boolean {
  return filters.every(({ element, prefix }) => {
    const value = resource[element];
    return typeof value === 'string' && value.startsWith(prefix);
  });
}
