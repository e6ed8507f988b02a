/** Turns a client's search into one the upstream can answer without seeing what is searched for. */
import { KeywardError } from '../core/index.ts';
import {
  type Catalogue,
  FIELD_CLASS_OF_INDEX,
  type FieldClass,
  type IndexClass,
  type IndexTerm,
  searchParameter,
  type SearchTarget,
  searchTarget,
} from '../phi/index.ts';
import type { Decision } from './policy.ts';
import { isJsonFormat } from './routes.ts';
import { type Asked, askedBy, narrowsType, type SearchAccess } from './search/asked.ts';
import { askForYears } from './search/dates.ts';
import { exactDigest, indexDigest, type PostFilter } from './search/filters.ts';
import { type Include, includeOf, isInclude, MAX_INCLUDES } from './search/includes.ts';
import { planPrefixes, prefixClassesOf } from './search/prefixes.ts';
import { type Shape, SHAPE_PARAMETERS, shapeOf } from './search/shape.ts';
import { alternativesOf, invalidParameter, splitUnescaped, unescape, unsupportedParameter } from './search/values.ts';

/** One OR-list of terms whose blind indexes replace the value of an upstream parameter. */
export interface BlindParameter {
  readonly name: string;
  readonly terms: readonly BlindTerm[];
}

export interface BlindTerm extends IndexTerm {
  /** System as the upstream gets it; undefined: any. */
  readonly tokenSystem: string | undefined;
}

export interface SearchPlan {
  /** Parameters that pass as they are. */
  readonly clear: readonly (readonly [name: string, value: string])[];
  readonly blind: readonly BlindParameter[];
  readonly filters: readonly PostFilter[];
  readonly includes: readonly Include[];
  readonly shape: Shape | undefined;
  /** Opaque token of a page link; then nothing else is set. */
  readonly cursor: string | undefined;
}

/** A page holds at most this many; a larger wish is not an error (FHIR R4 §3.1.1.5.3). */
const MAX_COUNT = 1000;
export const pageSize = (count: string): string => String(Math.min(Number(count), MAX_COUNT));
const MAX_PARAMETERS = 50;

/** Parameters about the result, not about resources. */
const RESULT_PARAMETERS: Readonly<Record<string, (value: string) => boolean>> = {
  _count: (value) => /^\d{1,9}$/.test(value),
  _sort: () => true,
  _total: (value) => value === 'none' || value === 'accurate',
  _format: isJsonFormat,
  _pretty: (value) => value === 'true' || value === 'false',
};
/** Answered by the gateway itself. */
const NOT_FORWARDED = new Set(['_format', '_pretty', ...SHAPE_PARAMETERS]);

export interface Draft {
  readonly clear: [string, string][];
  readonly blind: BlindParameter[];
  readonly filters: PostFilter[];
  readonly includes: Include[];
}

/**
 * @param inUrl the parameters stand in a URL, so none may identify anybody (P1)
 * @throws KeywardError `FHIR_PHI_IN_URL` | `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` | `ACCESS_DENIED` | `ACCESS_SCOPE`
 */
export function planSearch(
  type: string,
  parameters: URLSearchParams,
  inUrl: boolean,
  access: SearchAccess,
): SearchPlan {
  const cursor = parameters.get('_cursor') ?? undefined;
  if (cursor !== undefined) {
    // Medplum's client adds `_count` to any page link; the pages keep the size of the first (R4 search, page count).
    const others = parameters.size - parameters.getAll('_count').length;
    if (others !== 1 || !inUrl) throw new KeywardError('FHIR_CURSOR_INVALID');
    return { clear: [], blind: [], filters: [], includes: [], shape: undefined, cursor };
  }
  if (parameters.size > MAX_PARAMETERS) throw invalidParameter(`At most ${MAX_PARAMETERS} parameters.`);
  const draft: Draft = { clear: [], blind: [], filters: [], includes: [] };
  const shape = shapeOf(type, parameters);
  for (const [name, value] of parameters) {
    if (Object.hasOwn(RESULT_PARAMETERS, name)) planResult(draft, type, name, value, access.catalogue);
    else if (isInclude(name)) planInclude(draft, name, value);
    else if (!NOT_FORWARDED.has(name))
      planCriterion(draft, askedBy(type, name, access), value, inUrl, access.catalogue);
  }
  const { patient } = access.decision;
  if (patient !== undefined) draft.clear.push(compartmentParameter(type, patient, access.catalogue));
  return { ...withShape(draft, shape, patient), shape, cursor: undefined };
}

function planResult(draft: Draft, type: string, name: string, value: string, catalogue: Catalogue): void {
  if (!RESULT_PARAMETERS[name]?.(value)) throw invalidParameter(`Parameter ${name}.`);
  if (name === '_sort') assertSortable(type, value, catalogue);
  if (!NOT_FORWARDED.has(name)) draft.clear.push([name, name === '_count' ? pageSize(value) : value]);
}

function planInclude(draft: Draft, name: string, value: string): void {
  draft.includes.push(includeOf(name, value));
  if (draft.includes.length > MAX_INCLUDES) throw invalidParameter(`At most ${MAX_INCLUDES} includes.`);
  draft.clear.push([name, value]);
}

/** A count is of what the upstream finds, which must then be all that was asked, and all that the caller may know of. */
function withShape(draft: Draft, shape: Shape | undefined, patient: string | undefined): Draft {
  // https://hl7.org/fhir/R4/search.html#summary
  if (shape?.kind === 'text' && draft.includes.length > 0)
    throw unsupportedParameter('Parameter _summary=text together with includes.');
  if (shape?.kind !== 'count') return draft;
  if (patient !== undefined || draft.filters.some(({ narrows }) => narrows))
    throw unsupportedParameter('What is checked by the gateway cannot be counted: ask for the matches.');
  const paging: ReadonlySet<string> = new Set(['_count', '_total', '_sort']);
  const clear = draft.clear.filter(([name]) => !paging.has(name) && !isInclude(name));
  return { ...draft, includes: [], clear: [...clear, ['_count', '0'], ['_total', 'accurate']] };
}

type Kind = SearchTarget['kind'];

/** What can be asked of a parameter, by what sealing left of it; `:missing` can of all. */
const POSSIBLE: Readonly<Record<Kind, string>> = {
  clear: 'takes the modifiers :not, :missing, and on texts :exact; a reference also :[type]',
  'blind-string': 'is searched by equality, as it is, with :exact or with :missing',
  'blind-token': 'is searched by equality (system|value or value), with :not or with :missing',
  'year-bucket': 'is searched by date, without modifiers but :missing',
  refused: 'cannot be searched: its values are sealed without an index',
};

const cannot = (code: string, kind: Kind): KeywardError => unsupportedParameter(`Parameter ${code} ${POSSIBLE[kind]}.`);

function planCriterion(draft: Draft, asked: Asked, value: string, inUrl: boolean, catalogue: Catalogue): void {
  const { type, code, modifier, linked, name } = asked;
  const target = searchTarget(type, code, catalogue);
  if (!target) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  // `_text`, `_content`, `_query`: also where nothing is sealed.
  if (searchParameter(type, code)?.expression === '') throw unsupportedParameter(`Parameter ${code} on any type.`);
  // At the end of a link a modifier says different things to different servers.
  if (linked && modifier === 'missing') throw unsupportedParameter('The modifier :missing at the end of a link.');
  if (modifier === 'missing') return void draft.clear.push([`${name}:missing`, missingValue(value)]);
  if (target.kind === 'clear') return void draft.clear.push([withModifier(asked), clearValue(asked, value, catalogue)]);
  if (inUrl) throw new KeywardError('FHIR_PHI_IN_URL');
  if (target.kind === 'refused') throw cannot(code, target.kind);
  if (modifier !== undefined && (linked || !SEALED_MODIFIERS[target.kind].includes(modifier)))
    throw cannot(code, target.kind);
  if (target.kind === 'year-bucket') return planBucket(draft, asked, value);
  planBlind(draft, asked, value, target, catalogue);
}

const withModifier = ({ name, modifier }: Asked): string => (modifier === undefined ? name : `${name}:${modifier}`);

const SEALED_MODIFIERS: Readonly<Record<'blind-string' | 'blind-token' | 'year-bucket', readonly string[]>> = {
  'blind-string': ['exact'],
  'blind-token': ['not'],
  'year-bucket': [],
};

/** Modifiers of parameters that touch nothing sealed. `:text` and the like search in displays and texts, which are sealed. */
function clearValue({ type, code, modifier, linked }: Asked, value: string, catalogue: Catalogue): string {
  alternativesOf(code, value);
  const isText = searchParameter(type, code)?.type === 'string';
  const known =
    modifier === undefined ||
    narrowsType(type, code, modifier) ||
    (!linked && (modifier === 'not' || modifier === 'exact')) ||
    (!linked && modifier === 'contains' && isText && !catalogue.touches(type));
  if (!known) throw linked ? unsupportedParameter('A modifier at the end of a link.') : cannot(code, 'clear');
  return value;
}

function missingValue(value: string): string {
  if (value !== 'true' && value !== 'false') throw invalidParameter('Modifier :missing takes true or false.');
  return value;
}

function assertSortable(type: string, value: string, catalogue: Catalogue): void {
  for (const key of value.split(',')) {
    if (searchTarget(type, key.replace(/^-/, ''), catalogue)?.kind !== 'clear')
      throw unsupportedParameter('Parameter _sort takes parameters on elements that are not sealed.');
  }
}

/** Whoever may not open a class may not search by it either: the hits would tell (hapi-fhir #6065). */
function assertSearchable(decision: Decision, classes: readonly FieldClass[]): void {
  if (classes.some((fieldClass) => !decision.open.has(fieldClass))) throw new KeywardError('ACCESS_DENIED');
}

type BlindTarget = Extract<SearchTarget, { kind: 'blind-string' | 'blind-token' }>;

function planBlind(draft: Draft, asked: Asked, value: string, target: BlindTarget, catalogue: Catalogue): void {
  const { code, modifier, linked, decision } = asked;
  assertSearchable(
    decision,
    target.classes.map((indexClass) => FIELD_CLASS_OF_INDEX[indexClass]),
  );
  const alternatives = alternativesOf(code, value);
  const prefixClasses = prefixClassesOf(asked, target, catalogue);
  if (prefixClasses) return planPrefixes(draft, code, alternatives, prefixClasses);
  const terms = alternatives.flatMap((alternative) => termsOf(code, alternative, target));
  // "None of several" is read in two ways (FHIR R4 §3.1.1.5.5 does not say which).
  if (modifier === 'not' && terms.length > 1)
    throw unsupportedParameter(`Parameter ${code} takes the modifier :not with one value of one kind.`);
  draft.blind.push({ name: modifier === 'not' ? withModifier(asked) : asked.name, terms });
  if (linked) return;
  const exact = modifier === 'exact';
  draft.filters.push({
    code,
    test: exact ? 'exact' : 'index',
    any: terms.map(exact ? exactDigest : indexDigest),
    ...(exact ? { narrows: true } : {}),
    ...(modifier === 'not' ? { not: true } : {}),
  });
}

function termsOf(code: string, alternative: string, target: BlindTarget): BlindTerm[] {
  const parts = target.kind === 'blind-token' ? splitUnescaped(alternative, '|') : [alternative];
  const text = unescape(parts.at(-1) as string);
  if (parts.length > 2 || text.trim() === '') throw invalidParameter(`Parameter ${code}.`);
  const system = parts.length === 2 ? unescape(parts[0] as string) : undefined;
  if (system === undefined && target.kind === 'blind-token' && target.systemRequired)
    throw unsupportedParameter(`Parameter ${code} takes system|value on this type.`);
  return target.classes.map((indexClass) => ({ indexClass, text, ...termSystem(indexClass, system) }));
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

function planBucket(draft: Draft, { name, code, linked, decision }: Asked, value: string): void {
  assertSearchable(decision, ['birthDate']);
  const { years, filter } = askForYears(code, alternativesOf(code, value), linked);
  draft.clear.push([name, years]);
  if (!linked) draft.filters.push(filter);
}

/** Narrows a search to the one patient whose compartment is permitted, at the upstream already. */
function compartmentParameter(type: string, patient: string, catalogue: Catalogue): [string, string] {
  if (type === 'Patient') return ['_id', patient];
  if (searchTarget(type, 'patient', catalogue)?.kind !== 'clear') throw new KeywardError('ACCESS_DENIED');
  return ['patient', `Patient/${patient}`];
}
