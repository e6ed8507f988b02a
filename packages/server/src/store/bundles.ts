/** Transactions: many writes in one request, all or nothing. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { type Entry, rankOf, readEntry, responseEntry } from './bundle-entries.ts';
import { INTERACTIONS } from './interactions.ts';
import { type Identities, rewriteReferences } from './references.ts';
import type { Repository } from './repository.ts';
import type { JsonObject, Resource } from './types.ts';

/** @throws KeywardError `FHIR_BUNDLE_INVALID`, or what an entry throws. */
export async function processBundle(bundle: Resource, repository: Repository, base: string): Promise<JsonObject> {
  const { resourceType, type, entry = [] } = bundle;
  if (resourceType !== 'Bundle' || type !== 'transaction' || !Array.isArray(entry))
    throw new KeywardError('FHIR_BUNDLE_INVALID');
  const entries = entry.map((one: Json) => readEntry(one, base));
  const answers = await processEntries(entries, repository);
  return { resourceType: 'Bundle', type: 'transaction-response', entry: answers };
}

/** Answers in the order of the entries. */
function processEntries(entries: readonly Entry[], repository: Repository): Promise<JsonObject[]> {
  const identities = identitiesOf(entries);
  return repository.transaction(async (within) => {
    const answers: JsonObject[] = [];
    for (const [index, { name, call }] of inOrder(entries)) {
      const resource = call.resource && rewriteReferences(call.resource, identities);
      answers[index] = responseEntry(await INTERACTIONS[name]({ ...call, resource }, within));
    }
    return answers;
  });
}

const inOrder = (entries: readonly Entry[]): [number, Entry][] =>
  [...entries.entries()].sort(([, left], [, right]) => rankOf(left) - rankOf(right));

/** @throws KeywardError `FHIR_BUNDLE_INVALID` when two entries write the same resource or share a fullUrl. */
function identitiesOf(entries: readonly Entry[]): Identities {
  const identities: Identities = new Map();
  const written = new Set<string>();
  for (const { call, fullUrl } of entries) {
    const identity = `${call.type}/${call.id}`;
    if (written.has(identity) || (fullUrl !== undefined && identities.has(fullUrl)))
      throw new KeywardError('FHIR_BUNDLE_INVALID');
    written.add(identity);
    if (fullUrl !== undefined) identities.set(fullUrl, identity);
  }
  return identities;
}
