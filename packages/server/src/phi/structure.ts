/** The structure of every R4 type: which elements it has, of which datatype, and how many; from the generated table. */
import structures from './generated/structures.json' with { type: 'json' };

export interface Element {
  /** `type.element`, by which rules name it. */
  readonly key: string;
  /** JSON member name; a choice has one element for each of its types (`valueString`, `valueDate` …). */
  readonly name: string;
  /** Datatype, backbone type by path (`Patient.contact`) or resource type. */
  readonly type: string;
  readonly list: boolean;
  /** `value` for `valueString`; the name itself where there is no choice. */
  readonly stem: string;
}

export type Elements = ReadonlyMap<string, Element>;

const TABLE: ReadonlyMap<string, string> = new Map(Object.entries(structures));
const parsed = new Map<string, Elements>();

/** Abstract types are in the table because others refer to them; nobody can send one. */
const ABSTRACT: ReadonlySet<string> = new Set(['Resource', 'DomainResource']);

/** The elements of a type; undefined for primitives and for names R4 does not have. */
export function elementsOf(type: string): Elements | undefined {
  const known = parsed.get(type);
  if (known) return known;
  const text = TABLE.get(type);
  if (text === undefined) return undefined;
  const list = text.split(' ').flatMap((entry) => parseEntry(type, entry));
  const elements = new Map(list.map((element) => [element.name, element]));
  parsed.set(type, elements);
  return elements;
}

/** One entry of the table: `name:type`, `name*:type` or `name[x]:type|type`. */
function parseEntry(owner: string, entry: string): Element[] {
  const colon = entry.indexOf(':');
  const head = entry.slice(0, colon);
  const types = entry.slice(colon + 1).split('|');
  const stem = head.replace(/\*$|\[x\]$/, '');
  const list = head.endsWith('*');
  const choice = head.endsWith('[x]');
  return types.map((type) => {
    const name = choice ? stem + type.charAt(0).toUpperCase() + type.slice(1) : stem;
    return { key: `${owner}.${name}`, name, type, list, stem };
  });
}

/** Every resource has implicitRules, and nothing else has. */
const RESOURCES: ReadonlySet<string> = new Set(
  [...TABLE.keys()].filter((name) => TABLE.get(name)?.includes('implicitRules:')),
);

/** Every resource type that can stand alone. */
export const RESOURCE_TYPES: readonly string[] = [...RESOURCES].filter((name) => !ABSTRACT.has(name));

/** Whether R4 has a resource type of this name that can stand alone. */
export const isResourceType = (name: string): boolean => RESOURCES.has(name) && !ABSTRACT.has(name);

/** Types that hold a whole resource (`contained`, `Bundle.entry.resource` …). */
export const holdsResource = (type: string): boolean => RESOURCES.has(type);

/** All type names of the table, datatypes and backbone types included. */
export const typeNames = (): string[] => [...TABLE.keys()];
