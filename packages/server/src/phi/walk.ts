/** The one walk over a resource: rewrites it element by element after the R4 structure; sealing, opening and renaming are visitors. */
import type { Json } from '@keyward/sdk/seal';
import type { Catalogue, Context, Spot } from './catalogue.ts';
import { isObject, type JsonObject } from './marks.ts';
import { hasJsonType, isPrimitive } from './primitives.ts';
import { type Element, elementsOf, holdsResource, isResourceType } from './structure.ts';
import type { FhirResource } from './types.ts';

/** A primitive value with the element that carries its id and extensions (`family` and `_family`). */
export interface Primitive {
  readonly value: Json | undefined;
  readonly companion: JsonObject | undefined;
}

export interface PrimitiveSpot extends Spot {
  /** From the resource's type on, without indexes; built of names in the definitions only. */
  readonly path: string;
  /** Where in the lists on its path it stands: their indexes from the resource on, each behind it a dot; '' where there is no list. */
  readonly position: string;
  /** Whether the object that holds the element is an entry of a list. */
  readonly ownerRepeats: boolean;
}

/** Why a member is not as R4 defines it. */
export type Flaw =
  | 'unknown'
  | 'not a list'
  | 'not an object'
  | 'not a resource'
  | 'empty'
  | 'of another JSON type'
  | 'nested too deeply';

export interface Visitor {
  /** Decides what each element's place means. */
  readonly catalogue: Catalogue;
  /** Replaces one primitive. `inside` walks what its companion holds. */
  primitive(spot: PrimitiveSpot, found: Primitive, inside: (companion: JsonObject) => JsonObject): Primitive;
  /** Replaces a member that is not as R4 defines it, or throws; undefined drops it. */
  flaw(path: string, flaw: Flaw, value: Json): Json | undefined;
  /** Entries of a list of objects before the walk enters them. */
  beforeList?(element: Element, entries: readonly Json[], context: Context): readonly Json[];
  /** The same list afterwards. */
  afterList?(element: Element, entries: Json[]): Json[];
}

/** Elements inside each other; parseJson allows fewer. */
const MAX_DEPTH = 96;

/** What is being walked: an object of this type at this path. */
interface Place {
  readonly type: string;
  readonly path: string;
  readonly position: string;
  readonly context: Context;
  readonly repeats: boolean;
  readonly depth: number;
}

export function rewriteResource(resource: FhirResource, visitor: Visitor): FhirResource {
  const type = resource.resourceType;
  const context = visitor.catalogue.contextOfResource(undefined, type);
  const place: Place = { type, path: type, position: '', context, repeats: false, depth: 0 };
  return rewriteObject(resource, place, visitor) as FhirResource;
}

function rewriteObject(object: JsonObject, place: Place, visitor: Visitor): Json | undefined {
  const elements = elementsOf(place.type);
  if (!elements) return visitor.flaw(place.path, 'not a resource', object);
  if (place.depth > MAX_DEPTH) return visitor.flaw(place.path, 'nested too deeply', object);
  const pairsDone = new Set<Element>();
  const members = Object.keys(object).flatMap((member) => {
    const element = elements.get(member.replace(/^_/, ''));
    if (!element || !isPrimitive(element.type)) return [rewriteMember(member, object, element, place, visitor)];
    if (pairsDone.has(element)) return [];
    pairsDone.add(element);
    const pair = rewritePair(object, element, place, visitor);
    return member === element.name ? pair : pair.toReversed();
  });
  return Object.fromEntries(members.filter(([, value]) => value !== undefined)) as JsonObject;
}

type Member = readonly [name: string, value: Json | undefined];

/** A member that is no primitive. */
function rewriteMember(
  member: string,
  object: JsonObject,
  element: Element | undefined,
  place: Place,
  visitor: Visitor,
): Member {
  const value = object[member] ?? null;
  if (member === 'resourceType' && holdsResource(place.type)) return [member, value];
  if (member !== element?.name) return [member, visitor.flaw(place.path, 'unknown', value)];
  return [member, rewriteComplex(value, element, place, visitor)];
}

function rewritePair(object: JsonObject, element: Element, place: Place, visitor: Visitor): Member[] {
  const rewrite = element.list ? rewriteList : rewriteSingle;
  const { value, companion } = rewrite(object, element, place, visitor);
  return [
    [element.name, value],
    [`_${element.name}`, companion],
  ];
}

// Complex elements

function rewriteComplex(value: Json, element: Element, place: Place, visitor: Visitor): Json | undefined {
  const path = `${place.path}.${element.name}`;
  if (!element.list) return rewriteEntry(value, element, place, visitor, undefined);
  if (!Array.isArray(value)) return visitor.flaw(path, 'not a list', value);
  if (value.length === 0) return visitor.flaw(path, 'empty', value);
  const entries = visitor.beforeList?.(element, value, place.context) ?? (value as readonly Json[]);
  const rewritten = entries.flatMap((entry, index) => rewriteEntry(entry, element, place, visitor, index) ?? []);
  const result = visitor.afterList?.(element, rewritten) ?? rewritten;
  return result.length === 0 ? undefined : result;
}

function rewriteEntry(
  value: Json,
  element: Element,
  place: Place,
  visitor: Visitor,
  index: number | undefined,
): Json | undefined {
  const path = `${place.path}.${element.name}`;
  if (!isObject(value)) return visitor.flaw(path, 'not an object', value);
  if (Object.keys(value).length === 0) return visitor.flaw(path, 'empty', value);
  const position = positionIn(place, index);
  if (holdsResource(element.type)) return rewriteNested(value, path, position, place, visitor);
  const context = visitor.catalogue.contextInside(place.context, element, value);
  const repeats = index !== undefined;
  return rewriteObject(
    value,
    { type: element.type, path, position, context, repeats, depth: place.depth + 1 },
    visitor,
  );
}

const positionIn = ({ position }: Place, index: number | undefined): string =>
  index === undefined ? position : `${position}${index}.`;

function rewriteNested(
  value: JsonObject,
  path: string,
  position: string,
  place: Place,
  visitor: Visitor,
): Json | undefined {
  const type = value['resourceType'];
  if (typeof type !== 'string' || !isResourceType(type)) return visitor.flaw(path, 'not a resource', value);
  const outer = visitor.catalogue.contextOfResource(place.context, type);
  return rewriteObject(
    value,
    { type, path: `${path}.${type}`, position, context: outer, repeats: false, depth: place.depth + 1 },
    visitor,
  );
}

// Primitive elements

interface Pair {
  readonly value: Json | undefined;
  readonly companion: Json | undefined;
}

function rewriteSingle(owner: JsonObject, element: Element, place: Place, visitor: Visitor): Pair {
  return rewritePrimitive(owner[element.name], owner[`_${element.name}`], owner, element, place, undefined, visitor);
}

/** Two lists of the same length, with null where one of the two has nothing (https://hl7.org/fhir/R4/json.html#primitive). */
function rewriteList(owner: JsonObject, element: Element, place: Place, visitor: Visitor): Pair {
  const values = listOf(owner, element.name, place, visitor);
  const companions = listOf(owner, `_${element.name}`, place, visitor);
  const length = Math.max(values?.length ?? 0, companions?.length ?? 0);
  const rewritten = Array.from({ length }, (_, index) => {
    const [value, companion] = [values?.[index] ?? undefined, companions?.[index] ?? undefined];
    if (value === undefined && companion === undefined) visitor.flaw(`${place.path}.${element.name}`, 'empty', null);
    return rewritePrimitive(value, companion, owner, element, place, index, visitor);
  });
  return {
    value: joined(
      rewritten.map(({ value }) => value),
      values,
    ),
    companion: joined(
      rewritten.map(({ companion }) => companion),
      companions,
    ),
  };
}

function listOf(owner: JsonObject, member: string, place: Place, visitor: Visitor): readonly Json[] | undefined {
  const value = owner[member];
  if (value === undefined || (Array.isArray(value) && value.length > 0)) return value as readonly Json[] | undefined;
  const path = `${place.path}.${member.replace('_', '')}`;
  const replaced = visitor.flaw(path, Array.isArray(value) ? 'empty' : 'not a list', value);
  return Array.isArray(replaced) ? (replaced as readonly Json[]) : undefined;
}

/** Nothing but nulls is written only where it was sent so. */
function joined(parts: readonly (Json | undefined)[], before: readonly Json[] | undefined): Json | undefined {
  const wasEmpty = before?.every((part) => part === null) ?? false;
  return wasEmpty || parts.some((part) => part !== undefined) ? parts.map((part) => part ?? null) : undefined;
}

function rewritePrimitive(
  value: Json | undefined,
  companion: Json | undefined,
  owner: JsonObject,
  element: Element,
  place: Place,
  index: number | undefined,
  visitor: Visitor,
): Pair {
  const path = `${place.path}.${element.name}`;
  const position = positionIn(place, index);
  const { context: around, repeats: ownerRepeats } = place;
  const spot: PrimitiveSpot = { path, position, element, context: around, siblings: owner, ownerRepeats };
  const isFlawed = value !== undefined && !hasJsonType(element.type, value);
  const checked = isFlawed ? visitor.flaw(path, 'of another JSON type', value) : value;
  const beside =
    companion === undefined || isObject(companion) ? companion : visitor.flaw(path, 'not an object', companion);
  const inside = (part: JsonObject) => {
    const context = visitor.catalogue.contextInside(place.context, element, part);
    return rewriteObject(
      part,
      { type: 'Element', path, position, context, repeats: false, depth: place.depth + 1 },
      visitor,
    ) as JsonObject;
  };
  return visitor.primitive(spot, { value: checked, companion: isObject(beside) ? beside : undefined }, inside);
}
