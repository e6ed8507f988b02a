/** Prefix search, an option: blind indexes of the beginnings of a person's names, kept beside the identifiers of the record. */
import { normalise } from '@keyward/sdk/seal';
import type { Catalogue } from './catalogue.ts';
import { INDEX_SYSTEM, type JsonObject } from './marks.ts';
import { hasShadows } from './open.ts';
import { elementsOf } from './structure.ts';
import type { IndexClass, IndexTerm, PrefixedClass, SealPlan, SealSite } from './types.ts';

/** Shorter beginnings are those of too many, and would be guessed from how often they occur; longer ones tell few apart. */
export const LEAST_PREFIX_LETTERS = 3;
export const MOST_PREFIX_LETTERS = 8;

const PREFIX_CLASS_OF = { family: 'family-prefix', given: 'given-prefix' } as const satisfies Record<
  PrefixedClass,
  IndexClass
>;

/** The class of the beginnings of a class's values; undefined where the type or the configuration keeps none. */
export function prefixClassOf(type: string, indexClass: IndexClass, catalogue: Catalogue): IndexClass | undefined {
  const isPrefixed = (name: IndexClass): name is PrefixedClass => Object.hasOwn(PREFIX_CLASS_OF, name);
  if (!isPrefixed(indexClass) || !catalogue.prefixes.has(indexClass) || !keepsPrefixes(type, catalogue))
    return undefined;
  return PREFIX_CLASS_OF[indexClass];
}

/** Persons, who have names and a list of identifiers, where identifiers are indexed. */
function keepsPrefixes(type: string, catalogue: Catalogue): boolean {
  const [name, identifier] = [elementsOf(type)?.get('name'), elementsOf(type)?.get('identifier')];
  if (name?.type !== 'HumanName' || !identifier?.list) return false;
  return hasShadows(identifier, catalogue.contextOfResource(undefined, type), catalogue);
}

/** A name of the person that a record is about; those of contacts and of what is contained are searched by no parameter of the type. */
const NAME_PATH = /^([A-Za-z]+)\.name\.[a-z]+$/;

/** Terms of the beginnings of a name, from the shortest on. */
export function prefixTerms(path: string, { indexClass, text }: IndexTerm, catalogue: Catalogue): IndexTerm[] {
  const type = catalogue.prefixes.size > 0 ? NAME_PATH.exec(path)?.[1] : undefined;
  const prefixClass = type && prefixClassOf(type, indexClass, catalogue);
  if (!prefixClass) return [];
  const letters = lettersOf(prefixClass, text);
  const lengths = Array.from({ length: MOST_PREFIX_LETTERS - LEAST_PREFIX_LETTERS + 1 }, (_, more) => more);
  const texts = lengths
    .map((more) => LEAST_PREFIX_LETTERS + more)
    .filter((length) => length <= letters.length)
    .map((length) => firstLetters(prefixClass, text, length));
  return [...new Set(texts)].map((prefix) => ({ indexClass: prefixClass, system: '', text: prefix }));
}

/** Code points of a value as it is compared. */
export const lettersOf = (prefixClass: IndexClass, text: string): string[] =>
  Array.from(normalise(prefixClass, '', text));

/** The beginning of a value as it is compared; normalised again, since a letter may be another one at the end of a word (σ, ς). */
export const firstLetters = (prefixClass: IndexClass, text: string, letters: number): string =>
  normalise(prefixClass, '', lettersOf(prefixClass, text).slice(0, letters).join(''));

type Sealed = Parameters<SealPlan['apply']>[0];

/** Identifiers that carry the indexes of beginnings; sorted, so that their order tells nothing of the names. */
export function prefixShadows(sites: readonly SealSite[], sealed: Sealed): JsonObject[] {
  const isPrefix = (term: IndexTerm | undefined) =>
    Object.values(PREFIX_CLASS_OF).some((prefixClass) => prefixClass === term?.indexClass);
  const indexes = sites.flatMap(({ terms }, site) =>
    (sealed[site]?.indexes ?? []).filter((index, position) => index !== '' && isPrefix(terms[position])),
  );
  return [...new Set(indexes)].sort().map((value) => ({ system: INDEX_SYSTEM, value }));
}
