/** Which element a path of the overrides file names, and which treatments are legal for it. */
import type { ErrorCode } from '../core/index.ts';
import { isPrimitive } from './primitives.ts';
import { type Element, elementsOf, holdsResource, isResourceType } from './structure.ts';

export interface ResolvedPath {
  readonly element: Element;
  /** Resource or backbone type from which `steps` lead to the element's owner; undefined for `datatype.element`. */
  readonly owner: string | undefined;
  readonly steps: readonly string[];
}

/** The element that a path names, or why there is none that can be overridden. */
export function resolveElement(path: string): ResolvedPath | string {
  const [first = '', ...names] = path.split('.');
  let type = first;
  let [owner, steps]: [string, string[]] = [first, []];
  for (const [position, name] of names.entries()) {
    const element = elementsOf(type)?.get(name);
    if (!element) break;
    if (position === names.length - 1) return ending(path, first, element, owner, steps);
    const barrier = barrierAt(element);
    if (barrier !== undefined) return barrier;
    type = element.type;
    // Backbone elements may stand inside each other (`section.section`): a rule holds for each of them.
    if (type.startsWith(`${first}.`)) [owner, steps] = [type, []];
    else steps = [...steps, name];
  }
  return 'is no element of R4 (write it as in JSON, such as Observation.valueString, without indexes)';
}

function barrierAt({ type }: Element): string | undefined {
  if (type === 'Extension') return 'goes through an extension: name its url under extensions';
  if (type === 'Meta') return UNTOUCHABLE_META;
  return holdsResource(type) ? 'goes into another resource: begin with the type of that resource' : undefined;
}

function ending(path: string, first: string, element: Element, owner: string, steps: string[]): ResolvedPath | string {
  const { key, name, type } = element;
  if (!isPrimitive(type) && !FEW_VALUED_TYPES.has(type)) return `is a ${type}: name one of its parts`;
  if (key.startsWith('Meta.')) return UNTOUCHABLE_META;
  if (name === 'id' || name === 'implicitRules' || UNTOUCHABLE.has(key))
    return 'is read by the gateway and the upstream, and stays as it is';
  if (isResourceType(first)) return { element, owner, steps };
  if (EVERYWHERE.has(key)) return 'stands everywhere, in tags too: name the paths one by one';
  return key === path
    ? { element, owner: undefined, steps: [] }
    : 'begins with a datatype, and may then name one element only';
}

/** `value[x]` of an extension, or why not. */
export function resolveExtensionValue(name: string): Element | string {
  const element = elementsOf('Extension')?.get(name);
  if (element?.stem !== 'value') return 'is no value of an extension (such as valueString)';
  return isPrimitive(element.type) ? element : `is a ${element.type}: override the parts of that datatype`;
}

const UNTOUCHABLE_META = 'is in meta, which the upstream writes and carries along';

/** What the gateway, its indexes and its compartments are made of. */
const UNTOUCHABLE: ReadonlySet<string> = new Set([
  'Extension.url',
  'Reference.reference',
  'Reference.type',
  'Identifier.system',
  'ContactPoint.system',
  'Bundle.type',
  'Bundle.entry.fullUrl',
  'Bundle.entry.request.method',
]);

/** Not to be overridden as parts of a datatype. */
const EVERYWHERE: ReadonlySet<string> = new Set(['Coding.system', 'Coding.code']);

/** Treatments by datatype; what is not here takes `omit` alone. */
const LEGAL: Readonly<Record<string, readonly string[]>> = {
  string: ['seal', 'index', 'omit'],
  markdown: ['seal', 'omit'],
  date: ['year', 'omit'],
  dateTime: ['year', 'omit'],
  base64Binary: ['base64', 'omit'],
  xhtml: [],
};

/** Datatypes with few values. */
const FEW_VALUED_TYPES: ReadonlySet<string> = new Set(['code', 'boolean', 'Coding', 'CodeableConcept']);

/** Texts with few values, or with the same for very many. */
const FEW_VALUED: ReadonlySet<string> = new Set([
  'Address.state',
  'Address.country',
  'Address.district',
  'HumanName.prefix',
  'HumanName.suffix',
  'Coding.display',
  'Coding.version',
  'CodeableConcept.text',
  'Quantity.unit',
  'Age.unit',
  'Count.unit',
  'Distance.unit',
  'Duration.unit',
  'Device.manufacturer',
  'Immunization.lotNumber',
]);

/** Elements whose index has a class by itself. */
const OWN_INDEX: Readonly<Record<string, string | undefined>> = {
  'Identifier.value': 'index:identifier',
  'ContactPoint.value': undefined,
};

/** Why a treatment cannot be had for an element, and the code to say it with; nothing where it can. */
export function legality({ key, type }: Element, treatment: string): [fault?: string | undefined, code?: ErrorCode] {
  const isIndex = treatment.startsWith('index:');
  if (isIndex && (FEW_VALUED_TYPES.has(type) || FEW_VALUED.has(key)))
    return ['has few values, which an index would tell apart', 'SEAL_INDEX_REFUSED'];
  if (!isPrimitive(type)) return [`is a ${type}: name one of its parts`];
  if (treatment === 'clear') return [];
  if (isIndex && Object.hasOwn(OWN_INDEX, key) && OWN_INDEX[key] !== treatment)
    return ['has an index of another class by itself'];
  const legal = LEGAL[type] ?? ['omit'];
  return legal.includes(isIndex ? 'index' : treatment)
    ? []
    : [`is of type ${type}, for which there is only: ${['clear', ...legal].join(', ')}`];
}
