/** References within a transaction: placeholders become `Type/id` before anything is written. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type Resource } from './types.ts';

/** From the text that stands in the bundle (`urn:uuid:…`) to `Type/id`. */
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
