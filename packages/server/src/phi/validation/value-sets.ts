/** Value sets: which codes of which systems a required binding permits. */
import type { Json } from '@keyward/sdk/seal';
import table from '../generated/value-sets.json' with { type: 'json' };
import { isObject } from '../marks.ts';

export interface ValueSet {
  /** Whether a bare code, whose system the element implies, is one of them. */
  hasCode(code: string): boolean;
  hasCoding(system: string, code: string): boolean;
}

type Codes = Readonly<Record<string, ReadonlySet<string>>>;

/** Of listed codes, by their system. */
export function listedValueSet(systems: Codes): ValueSet {
  const all = new Set(Object.values(systems).flatMap((codes) => [...codes]));
  return {
    hasCode: (code) => all.has(code),
    hasCoding: (system, code) => (Object.hasOwn(systems, system) && systems[system]?.has(code)) ?? false,
  };
}

const shapedValueSet = (ofSystem: string, shape: RegExp): ValueSet => ({
  hasCode: (code) => shape.test(code),
  hasCoding: (system, code) => system === ofSystem && shape.test(code),
});

/** R4 binds to these, and nobody can list them. */
const SHAPED: ReadonlyMap<string, ValueSet> = new Map([
  // R4 itself writes `xml`, `json` and `ttl` where it asks for a media type.
  ['mimetypes', shapedValueSet('urn:ietf:bcp:13', /^([a-z]+|[\w.+-]+\/[\w.+*-]+(\s*;.*)?)$/i)],
  ['ucum-units', shapedValueSet('http://unitsofmeasure.org', /^\S+$/)],
  ['currencies', shapedValueSet('urn:iso:std:iso:4217', /^[A-Z]{3}$/)],
]);

const TABLE: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(
  Object.entries(table as Record<string, Record<string, string>>),
);
const listed = new Map<string, ValueSet>();

/** A value set that R4 itself binds to, by the last part of its url. */
export function coreValueSet(name: string): ValueSet | undefined {
  const known = SHAPED.get(name) ?? listed.get(name);
  const systems = TABLE.get(name);
  if (known || !systems) return known;
  const entries = Object.entries(systems).map(([system, codes]) => [system, new Set(codes.split(' '))] as const);
  const set = listedValueSet(Object.fromEntries(entries));
  listed.set(name, set);
  return set;
}

/** Whether a coded value (code, Coding, CodeableConcept, Quantity) is of the set; one that holds nothing but extensions makes no claim. */
export function isOfSet(value: Json, set: ValueSet): boolean {
  if (typeof value === 'string') return set.hasCode(value);
  if (!isObject(value)) return true;
  const codings = value['coding'];
  if (Array.isArray(codings)) return (codings as readonly Json[]).some((coding) => isCodingOfSet(coding, set));
  if (Object.keys(value).every((name) => name === 'extension' || name === 'id')) return true;
  return isCodingOfSet(value, set);
}

function isCodingOfSet(coding: Json, set: ValueSet): boolean {
  if (!isObject(coding)) return false;
  const { system, code } = coding;
  return typeof system === 'string' && typeof code === 'string' && set.hasCoding(system, code);
}
