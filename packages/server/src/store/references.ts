/** References within a transaction: placeholders and conditions become `Type/id` before anything is written. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { Repository } from './repository.ts';
import { parseCriteria } from './search-parse.ts';
import { isObject, type Resource } from './types.ts';

/** From the text that stands in the bundle (`urn:uuid:…`, `Practitioner?identifier=…`) to `Type/id`. */
export type Identities = Map<string, string>;

/** Replaces every text that is such a placeholder as a whole (R4 §3.1.0.11.2 rewrites uri, url, oid and uuid as well). */
export const rewriteReferences = (resource: Resource, identities: Identities): Resource =>
  rewrite(resource, identities) as Resource;

function rewrite(value: Json, identities: Identities): Json {
  if (typeof value === 'string') return identities.get(value) ?? value;
  if (Array.isArray(value)) return value.map((element: Json) => rewrite(element, identities));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, rewrite(member, identities)]));
}

const CONDITIONAL_REFERENCE = /^([A-Z][A-Za-z]{1,63})\?(.+)$/s;

/** Adds the identity of every conditional reference. @throws KeywardError `FHIR_PRECONDITION` unless exactly one resource matches. */
export async function resolveConditionalReferences(
  resources: readonly Resource[],
  identities: Identities,
  repository: Repository,
): Promise<void> {
  const texts = new Set(resources.flatMap((resource) => [...referenceTexts(resource)]));
  for (const text of texts) {
    const [, type = '', criteria = ''] = CONDITIONAL_REFERENCE.exec(text) ?? [];
    if (type === '') continue;
    const id = await repository.findOne(parseCriteria(type, new URLSearchParams(criteria)));
    if (id === undefined) throw new KeywardError('FHIR_PRECONDITION');
    identities.set(text, `${type}/${id}`);
  }
}

function* referenceTexts(value: Json): Generator<string> {
  if (Array.isArray(value)) for (const element of value) yield* referenceTexts(element as Json);
  if (!isObject(value)) return;
  for (const [name, member] of Object.entries(value)) {
    if (name === 'reference' && typeof member === 'string') yield member;
    else yield* referenceTexts(member);
  }
}
