/** A second look at what the upstream found: conditions checked on opened values, so that no wrong match is shown. */
import { createHash } from 'node:crypto';
import { normalise } from '@keyward/sdk/seal';
import {
  type Catalogue,
  type FhirResource,
  firstLetters,
  type IndexTerm,
  lettersOf,
  prefixClassOf,
  searchedElements,
  searchedTerms,
  searchedTexts,
} from '../../phi/index.ts';
import { isWithin } from './dates.ts';

/** One parameter of the searched type; travels in page links, so it is short and plain JSON. */
export interface PostFilter {
  readonly code: string;
  readonly test: keyof typeof TESTS;
  /** One of them must hold: digests of texts, or dates with their prefixes. */
  readonly any: readonly string[];
  /** None of them may hold. */
  readonly not?: true;
  /** The upstream was asked a coarser question, so its count is of more. */
  readonly narrows?: true;
}

/** Values that pass a test, of one opened resource. */
const TESTS = {
  /** what the blind index promises */
  index: (resource: FhirResource, { code, any }: PostFilter, catalogue: Catalogue) =>
    searchedTerms(resource, code, catalogue).some((term) => indexDigests(term).some((digest) => any.includes(digest))),
  /** letter by letter */
  exact: (resource: FhirResource, { code, any }: PostFilter, catalogue: Catalogue) =>
    searchedTerms(resource, code, catalogue).some((term) => any.includes(exactDigest(term))),
  prefix: (resource: FhirResource, { code, any }: PostFilter, catalogue: Catalogue) =>
    searchedTerms(resource, code, catalogue).some((term) =>
      any.some((asked) => beginsWith(term, asked, resource, catalogue)),
    ),
  date: (resource: FhirResource, { code, any }: PostFilter) =>
    searchedTexts(resource, code).some((value) => any.some((asked) => isWithin(value, asked))),
} as const satisfies Record<string, (resource: FhirResource, filter: PostFilter, catalogue: Catalogue) => boolean>;

export const matchesFilters = (resource: FhirResource, filters: readonly PostFilter[], catalogue: Catalogue): boolean =>
  filters.every((filter) => TESTS[filter.test](resource, filter, catalogue) !== (filter.not ?? false));

/** Elements that must be open for the filters, whatever was selected. */
export const filteredElements = (type: string, filters: readonly PostFilter[]): string[] =>
  filters.flatMap(({ code }) => searchedElements(type, code));

/** Long enough that no two texts of a search meet by chance; 500 of them fit into a link. */
const DIGEST_BYTES = 9;

const digestOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest().subarray(0, DIGEST_BYTES).toString('base64url');

export const indexDigest = ({ indexClass, system, text }: IndexTerm): string =>
  digestOf(indexClass, system, normalise(indexClass, system, text));

export const exactDigest = ({ indexClass, text }: IndexTerm): string => digestOf(indexClass, text);

/** How many letters, and what they are: the beginning of a value of that length is compared with it. */
export const prefixDigest = ({ indexClass, text }: IndexTerm): string =>
  `${lettersOf(indexClass, text).length}:${digestOf(indexClass, normalise(indexClass, '', text))}`;

function beginsWith(
  { indexClass, text }: IndexTerm,
  asked: string,
  { resourceType }: FhirResource,
  catalogue: Catalogue,
): boolean {
  const prefixClass = prefixClassOf(resourceType, indexClass, catalogue);
  const [letters = '', digest] = asked.split(':');
  return (
    prefixClass !== undefined && digestOf(prefixClass, firstLetters(prefixClass, text, Number(letters))) === digest
  );
}

/** Identifiers have a second index, without their system. */
const indexDigests = (term: IndexTerm): string[] =>
  term.system === '' ? [indexDigest(term)] : [indexDigest(term), indexDigest({ ...term, system: '' })];
