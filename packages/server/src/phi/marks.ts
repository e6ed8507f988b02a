/** The marks Keyward leaves in a sealed resource: extensions, shadow identifiers, the SUBSETTED tag; made, read and refused here. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { FhirResource, RootSeal } from './types.ts';

export type JsonObject = { readonly [name: string]: Json };

/** Prefix of every url and system of ours; clients may not use it. */
const RESERVED_PREFIX = 'urn:keyward:';
export const SEALED_URL = `${RESERVED_PREFIX}sealed`;
export const ROOT_URL = `${RESERVED_PREFIX}root`;
/** System of the shadow identifier that carries the system-less index. */
export const INDEX_SYSTEM = `${RESERVED_PREFIX}index`;

const DATA_ABSENT_URL = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason';
const SUBSETTED = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' };

const TOKEN = /^kw1\.[A-Za-z0-9_-]+$/;
/** Any text that could be taken for a token or for a blind index. */
const LOOKS_SEALED = /^\s*(kw1j?\.|kwi1[a-z2-7]{26}\s*$)/i;
/** Object id, scope and policy version: opaque names, short, without blanks. */
const ROOT_VALUE = /^[A-Za-z0-9._:-]{1,64}$/;
const PROOF_PART = 'proof';
const ROOT_PARTS = { objectId: 'object', scope: 'scope', policy: 'policy' } as const;

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);

export const isToken = (value: Json | undefined): value is string => typeof value === 'string' && TOKEN.test(value);

/** Whether a string is, or imitates, something that only Keyward writes. */
export const imitatesMark = (text: string): boolean => LOOKS_SEALED.test(text) || isReserved(text);

const isReserved = (value: Json | undefined): boolean =>
  typeof value === 'string' && value.trim().toLowerCase().startsWith(RESERVED_PREFIX);

export const sealedExtension = (token: string): JsonObject => ({ url: SEALED_URL, valueString: token });

export const maskedExtension: JsonObject = { url: DATA_ABSENT_URL, valueCode: 'masked' };

export function rootExtension(root: RootSeal): JsonObject {
  const parts = Object.entries(ROOT_PARTS).map(([field, url]) => ({
    url,
    valueString: root[field as keyof typeof ROOT_PARTS],
  }));
  return { url: ROOT_URL, extension: [...parts, { url: PROOF_PART, valueString: root.proof }] };
}

/** The root extensions of a list and the rest of it. */
export function splitExtensions(extensions: Json | undefined, url: string): { ours: JsonObject[]; others: Json[] } {
  const ours: JsonObject[] = [];
  const others: Json[] = [];
  for (const extension of Array.isArray(extensions) ? (extensions as readonly Json[]) : []) {
    if (isObject(extension) && extension['url'] === url) ours.push(extension);
    else others.push(extension);
  }
  return { ours, others };
}

/** @throws KeywardError `SEAL_NOT_AUTHENTIC` when the extension is not as `rootExtension` writes it. */
export function readRoot(extension: JsonObject): RootSeal {
  const parts = Array.isArray(extension['extension']) ? (extension['extension'] as readonly Json[]) : [];
  const part = (url: string, shape = ROOT_VALUE): string => {
    const found = parts.filter(isObject).filter((candidate) => candidate['url'] === url);
    const value = found.length === 1 ? found[0]?.['valueString'] : undefined;
    if (typeof value !== 'string' || !shape.test(value)) throw new KeywardError('SEAL_NOT_AUTHENTIC');
    return value;
  };
  return {
    objectId: part(ROOT_PARTS.objectId),
    scope: part(ROOT_PARTS.scope),
    policy: part(ROOT_PARTS.policy),
    proof: part(PROOF_PART, TOKEN),
  };
}

/**
 * Refuses bodies that carry marks of ours: a client could otherwise plant a token, an index or a subject scope.
 * @throws KeywardError `FHIR_RESERVED_EXTENSION`
 */
export function assertNoReservedMarks(value: Json): void {
  if (Array.isArray(value)) return (value as readonly Json[]).forEach(assertNoReservedMarks);
  if (!isObject(value)) return;
  if (isReserved(value['url']) || isReserved(value['system'])) throw new KeywardError('FHIR_RESERVED_EXTENSION');
  Object.values(value).forEach(assertNoReservedMarks);
}

/** Whether a resource is a partial view. The code alone decides: a copy whose system was lost must not be stored with holes. */
export function isSubsetted(resource: FhirResource): boolean {
  const meta = resource['meta'];
  const tags = isObject(meta) && Array.isArray(meta['tag']) ? (meta['tag'] as readonly Json[]) : [];
  return tags.some((tag) => isObject(tag) && tag['code'] === SUBSETTED.code);
}

export function asSubsetted(resource: FhirResource): FhirResource {
  if (isSubsetted(resource)) return resource;
  const { resourceType, id, meta, ...rest } = resource;
  const base = isObject(meta) ? meta : {};
  const tags = Array.isArray(base['tag']) ? (base['tag'] as readonly Json[]) : [];
  return { resourceType, ...(id === undefined ? {} : { id }), meta: { ...base, tag: [...tags, SUBSETTED] }, ...rest };
}
