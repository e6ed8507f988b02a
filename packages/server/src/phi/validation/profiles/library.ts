/** The definitions an operator gives: profiles, value sets and code systems by their canonical urls. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../../core/index.ts';
import { isObject, type JsonObject } from '../../marks.ts';
import { isFixed } from './matching.ts';
import { coreValueSet, listedValueSet, type ValueSet } from '../value-sets.ts';

const CORE_SET = 'http://hl7.org/fhir/ValueSet/';

/** Types of the documents that say something here; a folder of definitions holds others too. */
const KINDS: ReadonlySet<string> = new Set(['StructureDefinition', 'ValueSet', 'CodeSystem']);

/** `url|version` without the version. */
export const plainUrl = (canonical: string): string => canonical.split('|')[0] ?? '';

export const unusable = (what: string, why: string): KeywardError =>
  new KeywardError('FHIR_PROFILE_UNUSABLE', { detail: `${what}: ${why}` });

export class Library {
  readonly #byUrl = new Map<string, JsonObject>();

  /** A definition, or a bundle of them. @throws KeywardError `FHIR_PROFILE_UNUSABLE` when a url is given twice with different content. */
  add(document: Json): void {
    if (!isObject(document)) return;
    const { resourceType, url } = document;
    if (resourceType === 'Bundle')
      return list(document, 'entry').forEach((entry) => this.add(entry['resource'] ?? null));
    if (typeof url !== 'string' || typeof resourceType !== 'string' || !KINDS.has(resourceType)) return;
    const known = this.#byUrl.get(url);
    if (known && !isFixed(known, document)) throw unusable(url, 'it is given twice, with different content.');
    this.#byUrl.set(url, document);
  }

  structure(canonical: string): JsonObject | undefined {
    return this.#find(canonical, 'StructureDefinition');
  }

  /** Undefined when it is not given, or not by its codes. */
  valueSet(canonical: string): ValueSet | undefined {
    const codes = this.#codes(canonical, 0);
    if (codes) return listedValueSet(Object.fromEntries([...codes].map(([system, list]) => [system, list])));
    const url = plainUrl(canonical);
    return url.startsWith(CORE_SET) ? coreValueSet(url.slice(CORE_SET.length)) : undefined;
  }

  #find(canonical: string, resourceType: string): JsonObject | undefined {
    const found = this.#byUrl.get(plainUrl(canonical));
    return found?.['resourceType'] === resourceType ? found : undefined;
  }

  #codes(canonical: string, depth: number): Codes | undefined {
    const set = depth > MAX_INCLUDES ? undefined : this.#find(canonical, 'ValueSet');
    if (!set) return undefined;
    const { expansion, compose } = set;
    if (isObject(expansion)) return union(list(expansion, 'contains').map(codesOfContained));
    if (!isObject(compose) || compose['exclude'] !== undefined) return undefined;
    const parts = list(compose, 'include').map((include) => this.#included(include, depth));
    return parts.every((part) => part !== undefined) && parts.length > 0 ? union(parts) : undefined;
  }

  /** Undefined where the codes are not listed: by a filter, by a system that is not given, or as what several sets have in common. */
  #included(include: JsonObject, depth: number): Codes | undefined {
    const { system, concept, filter, valueSet } = include;
    if (filter !== undefined) return undefined;
    if (Array.isArray(valueSet)) {
      const [only, ...more] = valueSet as readonly Json[];
      return system === undefined && more.length === 0 && typeof only === 'string'
        ? this.#codes(only, depth + 1)
        : undefined;
    }
    if (typeof system !== 'string') return undefined;
    if (concept !== undefined) return new Map([[system, codesIn(list(include, 'concept'))]]);
    const definition = this.#find(system, 'CodeSystem');
    return definition?.['content'] === 'complete'
      ? new Map([[system, codesIn(list(definition, 'concept'))]])
      : undefined;
  }
}

type Codes = ReadonlyMap<string, ReadonlySet<string>>;

/** Value sets that include each other, one inside the next. */
const MAX_INCLUDES = 8;

export const list = (object: JsonObject, name: string): readonly JsonObject[] =>
  Array.isArray(object[name]) ? (object[name] as readonly Json[]).filter(isObject) : [];

function codesIn(concepts: readonly JsonObject[]): Set<string> {
  const codes = concepts.flatMap((concept) => [concept['code'], ...codesIn(list(concept, 'concept'))]);
  return new Set(codes.filter((code) => typeof code === 'string'));
}

/** An entry that is abstract only groups the others. */
function codesOfContained(entry: JsonObject): Codes {
  const { system, code, abstract } = entry;
  const own: Codes =
    typeof system === 'string' && typeof code === 'string' && abstract !== true
      ? new Map([[system, new Set([code])]])
      : new Map();
  return union([own, ...list(entry, 'contains').map(codesOfContained)]);
}

function union(parts: readonly Codes[]): Codes {
  const all = new Map<string, Set<string>>();
  for (const part of parts)
    for (const [system, codes] of part) all.set(system, new Set([...(all.get(system) ?? []), ...codes]));
  return all;
}
