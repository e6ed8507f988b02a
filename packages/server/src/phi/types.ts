/** The vocabulary of PHI: classes of sensitivity, treatments, and the plans that seal and open one resource. */
import type { Json } from '@keyward/sdk/seal';
import type { Treatment } from './rules.ts';

/** Sensitivity classes; the access policy opens, masks or withholds by class. */
export const FIELD_CLASSES = [
  'name',
  'identifier',
  'contact',
  'address',
  'birthDate',
  'media',
  'narrative',
  'freeText',
  'label',
] as const;
export type FieldClass = (typeof FIELD_CLASSES)[number];

/** Classes with a blind index; one index key each. Never what has few values. */
export const INDEX_CLASSES = ['family', 'given', 'identifier', 'phone', 'email', 'city', 'postalCode'] as const;

/** Classes whose values may be found by their beginnings too, where the configuration says so; those have classes of their own. */
export const PREFIXED_CLASSES = ['family', 'given'] as const satisfies readonly (typeof INDEX_CLASSES)[number][];
export type PrefixedClass = (typeof PREFIXED_CLASSES)[number];

export type IndexClass = (typeof INDEX_CLASSES)[number] | `${PrefixedClass}-prefix`;

/** Whoever may not open a value may not search by it: the class of sensitivity that an index tells about. */
export const FIELD_CLASS_OF_INDEX: Readonly<Record<IndexClass, FieldClass>> = {
  family: 'name',
  given: 'name',
  'family-prefix': 'name',
  'given-prefix': 'name',
  identifier: 'identifier',
  phone: 'contact',
  email: 'contact',
  city: 'address',
  postalCode: 'address',
};

/** One value to index: `system` is '' where the class has none (or for the second, system-less index of identifiers). */
export interface IndexTerm {
  readonly indexClass: IndexClass;
  readonly system: string;
  /** Not normalised yet; the seal engine's normaliser of the class does that. */
  readonly text: string;
}

export type FhirResource = { readonly resourceType: string; readonly id?: string } & { readonly [name: string]: Json };

/** One element that must be sealed. */
export interface SealSite {
  readonly path: string;
  /** As of a PrimitiveSpot. */
  readonly position: string;
  readonly datatype: string;
  readonly treatment: Treatment;
  readonly fieldClass: FieldClass;
  readonly value: Json;
  /** Terms whose blind indexes `apply` needs, in this order. */
  readonly terms: readonly IndexTerm[];
}

/** What the root extension of a sealed resource carries. */
export interface RootSeal {
  readonly objectId: string;
  readonly scope: string;
  readonly policy: string;
  /** Token under the record's key over `policy` and all tokens of the record; see manifest.ts. */
  readonly proof: string;
}

export interface SealPlan {
  readonly sites: readonly SealSite[];
  /** Whether the sealed copy carries a root: resources of sealed types do even where they hold nothing to seal. */
  readonly hasRoot: boolean;
  /** The sealed copy; the input is not changed. `sealed[i]` belongs to `sites[i]`; `now` decides whose year of birth is hidden, if any. */
  apply(
    sealed: readonly { readonly token: string; readonly indexes: readonly string[] }[],
    root: RootSeal,
    now: Date,
  ): FhirResource;
}

/** One sealed element found in a resource that came back. */
export interface OpenSite {
  readonly path: string;
  /** As of a PrimitiveSpot. */
  readonly position: string;
  readonly datatype: string;
  readonly fieldClass: FieldClass;
  readonly token: string;
}

/** What a reader gets for one site. A masked value has been opened and shortened by the access policy. */
export type Disclosure =
  | { readonly kind: 'open'; readonly value: Json }
  | { readonly kind: 'mask'; readonly value: Json }
  | { readonly kind: 'withhold' };

export interface OpenPlan {
  /** Undefined for a resource that was never sealed. */
  readonly root: RootSeal | undefined;
  readonly sites: readonly OpenSite[];
  /** The resource as the reader sees it, without any of our extensions and indexes; SUBSETTED in meta.tag when a site was masked or withheld. */
  apply(disclosures: readonly Disclosure[]): FhirResource;
}

/** How a search parameter of a type relates to what is sealed. */
export type SearchTarget =
  /** touches nothing sealed: passes through */
  | { readonly kind: 'clear' }
  /** string search on indexed elements: the value becomes one blind index per class, joined by OR */
  | { readonly kind: 'blind-string'; readonly classes: readonly IndexClass[] }
  /** token search on indexed elements (`system|value`, and `value` alone unless the system is required) */
  | { readonly kind: 'blind-token'; readonly classes: readonly IndexClass[]; readonly systemRequired?: true }
  /** date search on a generalised date: by year, post-filtered */
  | { readonly kind: 'year-bucket' }
  /** touches sealed elements that have no index: refused */
  | { readonly kind: 'refused' };
