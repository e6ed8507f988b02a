/** Search parameters of R4, and what can be asked of each when its elements are sealed. */
import type { Catalogue } from './catalogue.ts';
import { trailsOf } from './expression.ts';
import table from './generated/search-parameters.json' with { type: 'json' };
import { elementsOf, isResourceType, RESOURCE_TYPES } from './structure.ts';
import { type Effect, effectOf } from './search-effects.ts';
import type { SearchTarget } from './types.ts';

const PARAMETER_TYPES = [
  'string',
  'token',
  'reference',
  'date',
  'number',
  'quantity',
  'uri',
  'composite',
  'special',
] as const;
export type SearchParameterType = (typeof PARAMETER_TYPES)[number];

export interface SearchParameter {
  readonly code: string;
  readonly type: SearchParameterType;
  /** FHIRPath from this type on, alternatives joined by ` | `; empty where R4 defines none. */
  readonly expression: string;
  /** Codes of the parameters that a composite joins. */
  readonly components: readonly string[];
  /** Types that a reference may name. */
  readonly targets: readonly string[];
}

const TABLE: ReadonlyMap<string, Readonly<Record<string, readonly string[]>>> = new Map(Object.entries(table));
const parameters = new Map<string, ReadonlyMap<string, SearchParameter>>();
const targets = new WeakMap<Catalogue, Map<string, SearchTarget>>();

/** Parameters of a type, those of every type included; none for a name that is no resource type. */
export const searchParameters = (resourceType: string): readonly SearchParameter[] => [
  ...parametersOf(resourceType).values(),
];

export const searchParameter = (resourceType: string, code: string): SearchParameter | undefined =>
  parametersOf(resourceType).get(code);

function parametersOf(resourceType: string): ReadonlyMap<string, SearchParameter> {
  const known = parameters.get(resourceType);
  if (known) return known;
  if (!isResourceType(resourceType)) return new Map();
  const bases = elementsOf(resourceType)?.has('text')
    ? ['Resource', 'DomainResource', resourceType]
    : ['Resource', resourceType];
  const rows = bases.flatMap((base) => Object.entries(TABLE.get(base) ?? {}));
  const read = new Map(rows.map(([code, row]) => [code, parameterOf(code, row, resourceType)]));
  parameters.set(resourceType, read);
  return read;
}

function parameterOf(
  code: string,
  [type = '', expression = '', ...more]: readonly string[],
  resourceType: string,
): SearchParameter {
  return {
    code,
    type: type as SearchParameterType,
    expression: expression.replace(/\b(Domain)?Resource\./g, `${resourceType}.`),
    components: type === 'composite' ? more : [],
    targets: type !== 'reference' ? [] : more.includes('*') ? RESOURCE_TYPES : more,
  };
}

/** Whether a reference parameter looks at References; others look at canonical URLs, which name no resource by its id. */
export function isReferenceById(resourceType: string, code: string): boolean {
  const parameter = parametersOf(resourceType).get(code);
  if (parameter?.type !== 'reference') return false;
  return trailsOf(parameter.expression).some((trail) => trail.at(-1)?.element.type === 'Reference');
}

/** How a parameter relates to what is sealed; undefined where the type has no such parameter. */
export function searchTarget(resourceType: string, code: string, catalogue: Catalogue): SearchTarget | undefined {
  const known = targets.get(catalogue) ?? new Map<string, SearchTarget>();
  targets.set(catalogue, known);
  const key = `${resourceType} ${code}`;
  const parameter = known.has(key) ? undefined : parametersOf(resourceType).get(code);
  if (parameter) known.set(key, targetOf(resourceType, parameter, catalogue));
  return known.get(key);
}

const CLEAR: SearchTarget = { kind: 'clear' };
const REFUSED: SearchTarget = { kind: 'refused' };

function targetOf(
  resourceType: string,
  { code, type, expression, components }: SearchParameter,
  catalogue: Catalogue,
): SearchTarget {
  // _text, _content and _query have no expression: they look at everything, and what they find differs from server to server.
  if (expression === '') return REFUSED;
  if (!catalogue.touches(resourceType)) return CLEAR;
  if (type === 'composite')
    return components.every((part) => searchTarget(resourceType, part, catalogue)?.kind === 'clear') ? CLEAR : REFUSED;
  const searched = trailsOf(expression).filter((trail) => SEARCHED_BY[type].has(trail.at(-1)?.element.type ?? ''));
  // Sound-alikes cannot be found by a keyed index, which knows equality only.
  if (searched.length === 0 || code === 'phonetic') return REFUSED;
  const target = combined(
    type,
    searched.map((trail) => effectOf(resourceType, trail, catalogue)),
  );
  // Only lists have room for the second identifier that a search without system looks for.
  const single = searched.some((trail) => trail.at(-1)?.element.type === 'Identifier' && !trail.at(-1)?.element.list);
  return target.kind === 'blind-token' && single ? { ...target, systemRequired: true } : target;
}

/** Datatypes that parameters of a type look at; the other types of a choice are not searched. https://hl7.org/fhir/R4/search.html#table */
const SEARCHED_BY: Readonly<Record<SearchParameterType, ReadonlySet<string>>> = {
  string: new Set(['string', 'markdown', 'HumanName', 'Address', 'CodeableConcept']),
  token: new Set([
    'code',
    'id',
    'string',
    'uri',
    'boolean',
    'oid',
    'uuid',
    'Coding',
    'CodeableConcept',
    'Identifier',
    'ContactPoint',
    'dateTime',
  ]),
  reference: new Set(['Reference', 'canonical', 'uri', 'Resource']),
  date: new Set(['date', 'dateTime', 'instant', 'Period', 'Timing']),
  number: new Set(['integer', 'decimal', 'positiveInt', 'unsignedInt']),
  quantity: new Set(['Quantity', 'Money', 'Age', 'Duration', 'Range', 'SimpleQuantity']),
  uri: new Set(['uri', 'url', 'canonical', 'oid', 'uuid']),
  composite: new Set(),
  special: new Set(),
};

/** The strictest effect decides; indexes of several elements are asked together. */
function combined(type: SearchParameterType, effects: readonly Effect[]): SearchTarget {
  // Token search on a date only asks whether there is one (`deceased`), which the year answers.
  const kinds = new Set(
    effects.map((effect) =>
      typeof effect === 'object' ? 'blind' : type === 'token' && effect === 'year' ? 'clear' : effect,
    ),
  );
  const [only] = kinds;
  if (kinds.size !== 1 || only === 'refused') return REFUSED;
  if (only === 'year') return { kind: 'year-bucket' };
  const classes = [...new Set(effects.flatMap((effect) => (typeof effect === 'object' ? effect : [])))];
  if (only === 'clear') return CLEAR;
  return classes.length === 0 ? REFUSED : { kind: type === 'token' ? 'blind-token' : 'blind-string', classes };
}
