/** The profiles an operator configured, and which resources must satisfy them. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from '../../marks.ts';
import type { FhirResource } from '../../types.ts';
import type { TypeOfName } from '../validate.ts';
import { type Violation, Violations } from '../violations.ts';
import { checkProfile } from './check.ts';
import { Compiler } from './compile.ts';
import type { Constraint } from './constraint.ts';
import { Library, list, plainUrl, unusable } from './library.ts';

/** One entry of the configuration, its files read. */
export interface ProfileSource {
  readonly documents: readonly Json[];
  /** `declared`: resources that name one of the profiles in `meta.profile`; otherwise every resource of this type. */
  readonly appliesTo: string;
  /** Urls of definitions and value sets that are not given and not checked. */
  readonly unchecked: readonly string[];
}

export interface Profiles {
  /** What a resource violates of the profiles that apply to it. */
  check(resource: FhirResource, typeOfName: TypeOfName): Violation[];
}

interface Compiled {
  readonly url: string;
  readonly type: string;
  readonly root: Constraint;
}

/** @throws KeywardError `FHIR_PROFILE_UNUSABLE`, naming the profile and the element */
export function compileProfiles(sources: readonly ProfileSource[]): Profiles {
  const library = new Library();
  for (const { documents } of sources) for (const document of documents) library.add(document);
  const compiled = compileAll(sources, library);
  const required = new Map<string, Compiled[]>();
  for (const source of sources) {
    const { appliesTo: type } = source;
    if (type === 'declared') continue;
    const own = profilesIn(source).flatMap(({ url }) => compiled.get(url as string) ?? []);
    required.set(type, [...(required.get(type) ?? []), theOneFor(type, own)]);
  }
  return { check: (resource, typeOfName) => checkAll(resource, { declarable: compiled, required }, typeOfName) };
}

/** By url. */
function compileAll(sources: readonly ProfileSource[], library: Library): ReadonlyMap<string, Compiled> {
  const structures = sources.flatMap(profilesIn).map(({ url, type }) => {
    if (typeof url !== 'string' || typeof type !== 'string') throw unusable('A profile', 'it has no url or no type.');
    return { url, type };
  });
  const compiler = new Compiler(library, new Set(sources.flatMap(({ unchecked }) => unchecked)));
  const roots = compiler.compile(structures.map(({ url }) => url));
  return new Map(structures.map(({ url, type }, at) => [url, { url, type, root: roots[at] as Constraint }]));
}

function profilesIn({ documents }: ProfileSource): JsonObject[] {
  return documents
    .flatMap(structuresIn)
    .filter(({ kind, derivation }) => kind === 'resource' && derivation === 'constraint');
}

function structuresIn(document: Json): JsonObject[] {
  if (!isObject(document)) return [];
  if (document['resourceType'] === 'Bundle')
    return list(document, 'entry').flatMap(({ resource }) => structuresIn(resource ?? null));
  return document['resourceType'] === 'StructureDefinition' ? [document] : [];
}

function theOneFor(type: string, compiled: readonly Compiled[]): Compiled {
  const [only, ...more] = compiled.filter((profile) => profile.type === type);
  if (!only || more.length > 0)
    throw unusable(
      type,
      `the files of an entry that applies to a type must hold one profile of it, not ${more.length + (only ? 1 : 0)}.`,
    );
  return only;
}

interface Applicable {
  readonly declarable: ReadonlyMap<string, Compiled>;
  readonly required: ReadonlyMap<string, readonly Compiled[]>;
}

function checkAll(resource: FhirResource, applicable: Applicable, typeOfName: TypeOfName): Violation[] {
  const { declarable, required } = applicable;
  const declared = declaredIn(resource).flatMap((canonical) => declarable.get(plainUrl(canonical)) ?? []);
  const profiles = new Set([...(required.get(resource.resourceType) ?? []), ...declared]);
  return [...profiles].flatMap((profile) => checkOne(resource, profile, typeOfName));
}

function declaredIn({ meta }: FhirResource): string[] {
  const declared = isObject(meta) ? meta['profile'] : undefined;
  return Array.isArray(declared) ? (declared as readonly Json[]).filter((text) => typeof text === 'string') : [];
}

function checkOne(resource: FhirResource, profile: Compiled, typeOfName: TypeOfName): Violation[] {
  const { url, type, root } = profile;
  const found = new Violations();
  if (type === resource.resourceType) checkProfile(root, resource, typeOfName, found);
  else found.add([resource.resourceType, 'meta', 'profile'], `must not name a profile of ${type}`);
  return found.found.map(({ path, rule }) => ({ path, rule: `${rule} (${url})` }));
}
