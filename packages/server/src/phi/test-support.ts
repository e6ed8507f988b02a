/** Seals and opens with tokens that are only names of their values: what the plans do can be tested without keys. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Json } from '@keyward/sdk/seal';
import { parseJson } from '../core/index.ts';
import {
  type Catalogue,
  createCatalogue,
  type FhirResource,
  planOpen,
  planSeal,
  type RootSeal,
  type SealSite,
} from './index.ts';

/** Keyward's own rules. */
export const OWN: Catalogue = createCatalogue();
export const NOW = new Date('2026-01-15T12:00:00Z');

export const ROOT: RootSeal = {
  objectId: '5c3d9d0e-9f2b-4b0c-8f0a-2f6f5a3d7e11',
  scope: 'b7a8f0c2-52f4-4f0b-9d0e-6a1c2b3d4e5f',
  policy: `1.${OWN.version}`,
  proof: 'kw1.proof',
};

/** 26 characters of base32, as a blind index has. */
const fakeIndex = (number: number): string =>
  `kwi1${number
    .toString(26)
    .replace(/[0-9]/g, (digit) => 'qrstuvwxyz'.charAt(Number(digit)))
    .padStart(26, 'a')}`;

export interface Round {
  readonly sites: readonly SealSite[];
  readonly sealed: FhirResource;
  /** Token → value. */
  readonly vault: ReadonlyMap<string, Json>;
}

export function seal(resource: FhirResource, catalogue = OWN, now = NOW): Round {
  const plan = planSeal(resource, catalogue);
  let indexes = 0;
  const sealed = plan.sites.map((site, number) => ({
    token: `kw1.token_${number}`,
    indexes: site.terms.map(() => fakeIndex(indexes++)),
  }));
  const vault = new Map(sealed.map(({ token }, number) => [token, plan.sites[number]?.value ?? null]));
  return { sites: plan.sites, sealed: plan.apply(sealed, { ...ROOT, policy: `1.${catalogue.version}` }, now), vault };
}

export function open(sealed: FhirResource, vault: ReadonlyMap<string, Json>, catalogue = OWN): FhirResource {
  const plan = planOpen(sealed, catalogue);
  return plan.apply(plan.sites.map(({ token }) => ({ kind: 'open', value: vault.get(token) ?? null })));
}

export function withhold(sealed: FhirResource, catalogue = OWN): FhirResource {
  const plan = planOpen(sealed, catalogue);
  return plan.apply(plan.sites.map(() => ({ kind: 'withhold' })));
}

export const EXAMPLES = dirname(createRequire(import.meta.url).resolve('hl7.fhir.r4.examples/package.json'));

/** Larger examples are bundles of value sets, which hold thousands of the same. */
const LARGEST_BYTES = 150_000;
const EVERY_NTH_DEFINITION = 40;

/** Names of the official examples: with `all` every one, else those that are about patients and some of the definitions. */
export function exampleNames(all: boolean): string[] {
  const names = readdirSync(EXAMPLES).filter((name) => /^[A-Z]\w+-.*\.json$/.test(name));
  if (all) return names;
  const small = names.filter((name) => statSync(join(EXAMPLES, name)).size < LARGEST_BYTES);
  const isDefinition = (name: string) =>
    /^(SearchParameter|ValueSet|CodeSystem|StructureDefinition|ConceptMap|OperationDefinition)-/.test(name);
  return small.filter((name, index) => !isDefinition(name) || index % EVERY_NTH_DEFINITION === 0);
}

export const readExample = (name: string): FhirResource =>
  parseJson(readFileSync(join(EXAMPLES, name))) as FhirResource;
