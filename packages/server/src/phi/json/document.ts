/** Reading an API description: members by pointer, local references only, faults named by where they stand. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { isObject, type JsonObject } from '../marks.ts';

/** A place in the document, as a JSON Pointer (RFC 6901), and what stands there. */
export interface Place {
  readonly at: string;
  readonly value: JsonObject;
}

export interface ApiDocument {
  readonly root: Place;
  /** @throws KeywardError `API_MAP_INVALID` when it is there and no object. */
  child(place: Place, name: string): Place | undefined;
  /** Every member that is an object, e.g. of `properties`. */
  children(place: Place | undefined): [name: string, place: Place][];
  /** Objects of a list, e.g. of `allOf`. */
  list(place: Place, name: string): Place[];
  /** Where a `$ref` leads, as far as it goes; the place itself when it has none. */
  resolved(place: Place): Place;
}

export const mapFault = (at: string, why: string, cause?: unknown): KeywardError =>
  new KeywardError('API_MAP_INVALID', { detail: `${at || '/'}: ${why}`, cause });

/** A chain of references longer than this goes in circles. */
const MAX_REFERENCES = 32;

export function readDocument(document: unknown): ApiDocument {
  assertTree(document, '', new Set());
  const root = placeOf('', document);
  const child = (place: Place, name: string) => {
    const value = Object.hasOwn(place.value, name) ? place.value[name] : undefined;
    return value === undefined ? undefined : placeOf(below(place.at, name), value);
  };
  const byPointer = (pointer: string, from: string): Place => {
    const names = pointer.split('/').slice(1).map(unescaped);
    const found = names.reduce<Json | undefined>(memberOf, root.value);
    if (found === undefined) throw mapFault(from, 'its $ref leads nowhere.');
    return placeOf(names.reduce(below, ''), found);
  };
  return {
    root,
    child,
    children: (place) =>
      Object.entries(place?.value ?? {}).map(([name, value]) => [name, placeOf(below(place?.at ?? '', name), value)]),
    list(place, name) {
      const value = place.value[name];
      if (value === undefined) return [];
      if (!Array.isArray(value)) throw mapFault(below(place.at, name), 'expected a list.');
      return (value as readonly Json[]).map((entry, index) => placeOf(`${below(place.at, name)}/${index}`, entry));
    },
    resolved(place) {
      let current = place;
      for (let steps = 0; steps < MAX_REFERENCES; steps += 1) {
        const reference = current.value['$ref'];
        if (reference === undefined) return current;
        current = byPointer(localPointer(reference, current.at), current.at);
      }
      throw mapFault(place.at, 'its $ref goes in circles.');
    },
  };
}

/** A YAML alias may lead to what is around it. */
function assertTree(value: unknown, at: string, around: ReadonlySet<unknown>): void {
  if (typeof value !== 'object' || value === null) return;
  if (around.has(value)) throw mapFault(at, 'it contains itself; schemas refer to each other with $ref.');
  const inner = new Set(around).add(value);
  for (const [name, member] of Object.entries(value)) assertTree(member, below(at, name), inner);
}

/** The pointer of a reference within this document; what lies elsewhere is not fetched. */
export function localPointer(reference: Json, at: string): string {
  if (typeof reference === 'string' && reference.startsWith('#/')) {
    try {
      return decodeURIComponent(reference.slice(1));
    } catch {
      throw mapFault(at, 'its $ref is not readable.');
    }
  }
  throw mapFault(at, 'only references within the same file (#/…) are supported.');
}

export const below = (at: string, name: string): string => `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
const unescaped = (name: string): string => name.replaceAll('~1', '/').replaceAll('~0', '~');

function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (Array.isArray(value)) return (value as readonly Json[])[Number(name)];
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function placeOf(at: string, value: unknown): Place {
  if (!isObject(value as Json | undefined)) throw mapFault(at, 'expected an object.');
  return { at, value: value as JsonObject };
}
