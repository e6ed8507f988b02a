/** Search parameters of R4, and what can be asked of each when its elements are sealed. */
import { type Rule, ruleOf, contextOfResource, sealsByDefault } from './catalogue.ts';
import { type Passed, trailsOf } from './expression.ts';
import table from './generated/search-parameters.json' with { type: 'json' };
import { isResourceType } from './structure.ts';
import { elementsOf } from './structure.ts';
import { isPrimitive } from './primitives.ts';
import type { IndexClass, SearchTarget } from './types.ts';

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
}

const TABLE: ReadonlyMap<string, Readonly<Record<string, readonly string[]>>> = new Map(Object.entries(table));
const parameters = new Map<string, ReadonlyMap<string, SearchParameter>>();
const targets = new Map<string, SearchTarget | undefined>();

/** Parameters of a type, those of every type included; none for a name that is no resource type. */
export const searchParameters = (resourceType: string): readonly SearchParameter[] => [
  ...parametersOf(resourceType).values(),
];

export const searchParameterType = (resourceType: string, code: string): SearchParameterType | undefined =>
  parametersOf(resourceType).get(code)?.type;

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
  [type = '', expression = '', ...components]: readonly string[],
  resourceType: string,
): SearchParameter {
  return {
    code,
    type: type as SearchParameterType,
    expression: expression.replace(/\b(Domain)?Resource\./g, `${resourceType}.`),
    components,
  };
}

/** How a parameter relates to what is sealed; undefined where the type has no such parameter. */
export function searchTarget(resourceType: string, code: string): SearchTarget | undefined {
  const key = `${resourceType} ${code}`;
  if (!targets.has(key)) {
    const parameter = parametersOf(resourceType).get(code);
    if (!parameter) return undefined;
    targets.set(key, targetOf(resourceType, parameter));
  }
  return targets.get(key);
}

const CLEAR: SearchTarget = { kind: 'clear' };
const REFUSED: SearchTarget = { kind: 'refused' };

function targetOf(resourceType: string, { code, type, expression, components }: SearchParameter): SearchTarget {
  // _text, _content and _query have no expression: they look at everything.
  if (expression === '') return sealsByDefault(resourceType) ? REFUSED : CLEAR;
  if (!sealsByDefault(resourceType)) return CLEAR;
  if (type === 'composite')
    return components.every((part) => searchTarget(resourceType, part)?.kind === 'clear') ? CLEAR : REFUSED;
  const selected = trailsOf(expression).flatMap((trail) => trail.at(-1) ?? []);
  const searched = selected.filter(({ element }) => SEARCHED_BY[type].has(element.type));
  // Sound-alikes cannot be found by a keyed index, which knows equality only.
  if (searched.length === 0 || code === 'phonetic') return REFUSED;
  const target = combined(
    type,
    searched.map((passed) => effectOf(passed, resourceType)),
  );
  // Only lists have room for the second identifier that a search without system looks for.
  const single = searched.some(({ element }) => element.type === 'Identifier' && !element.list);
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

/** What sealing does to one searched element: nothing, an index of these classes, the year only, or no search at all. */
type Effect = 'clear' | 'year' | 'refused' | readonly IndexClass[];

/** Elements that are searched through their parts. A string search on an address finds the parts that have an index. */
const PARTS: Readonly<Record<string, readonly IndexClass[]>> = {
  HumanName: ['family', 'given'],
  Address: ['city', 'postalCode'],
  Identifier: ['identifier'],
  ContactPoint: ['phone', 'email'],
};

function effectOf({ element, filters }: Passed, resourceType: string): Effect {
  const parts = PARTS[element.type];
  if (parts) return filters.length > 0 ? parts.filter((part) => filters.includes(`system='${part}'`)) : parts;
  if (!isPrimitive(element.type)) return 'clear';
  const context = contextOfResource(undefined, resourceType);
  const rule = ruleOf({ element, context, siblings: {} });
  return rule ? effectOfRule(rule) : 'clear';
}

function effectOfRule({ treatment, indexClass }: Rule): Effect {
  if (indexClass) return [indexClass];
  return treatment === 'year' ? 'year' : 'refused';
}

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
