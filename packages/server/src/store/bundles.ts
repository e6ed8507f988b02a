/** Transactions: many writes in one request, all or nothing. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { type Entry, rankOf, readEntry, responseEntry } from './bundle-entries.ts';
import { INTERACTIONS } from './interactions.ts';
import { type Identities, rewriteReferences } from './references.ts';
import type { Repository } from './repository.ts';
import type { JsonObject, Resource, StoredAddress } from './types.ts';

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
  refuseSameCriteria(entries);
  return repository.transaction(async (within) => {
    const existing = await existingOf(entries, within);
    const identities = identitiesOf(entries, existing);
    const answers: JsonObject[] = [];
    for (const [index, entry] of inOrder(entries)) {
      const there = existing.get(entry);
      answers[index] = there ? responseEntry(200, there) : await perform(entry, identities, within);
    }
    return answers;
  });
}

async function perform({ name, call }: Entry, identities: Identities, repository: Repository): Promise<JsonObject> {
  const resource = call.resource && rewriteReferences(call.resource, identities);
  // What its criteria ask was decided before anything was written.
  const { status, stored } = await INTERACTIONS[name]({ ...call, resource, criteria: undefined }, repository);
  return responseEntry(status, stored);
}

const inOrder = (entries: readonly Entry[]): [number, Entry][] =>
  [...entries.entries()].sort(([, left], [, right]) => rankOf(left) - rankOf(right));

/** Entries that create nothing, since what they ask about is there already. */
type Existing = ReadonlyMap<Entry, StoredAddress>;

async function existingOf(entries: readonly Entry[], repository: Repository): Promise<Existing> {
  const conditional = entries.flatMap((entry) =>
    entry.call.criteria ? [{ entry, criteria: entry.call.criteria }] : [],
  );
  if (conditional.length === 0) return new Map();
  const found = await repository.existing(conditional.map(({ criteria }) => criteria));
  return new Map(conditional.flatMap(({ entry }, index) => (found[index] ? [[entry, found[index]] as const] : [])));
}

/** Two creates under one condition would both find nothing, and break it. @throws KeywardError `FHIR_BUNDLE_INVALID` */
function refuseSameCriteria(entries: readonly Entry[]): void {
  const keys = entries.flatMap(({ call }) => call.criteria?.key ?? []);
  if (new Set(keys).size < keys.length) throw new KeywardError('FHIR_BUNDLE_INVALID');
}

/**
 * @throws KeywardError `FHIR_BUNDLE_INVALID` when two entries write the same resource or share a fullUrl, or one writes what another
 *   found to exist
 */
function identitiesOf(entries: readonly Entry[], existing: Existing): Identities {
  const identities: Identities = new Map();
  const written = new Set<string>();
  for (const entry of entries) {
    const { call, fullUrl } = entry;
    const identity = `${call.type}/${existing.get(entry)?.id ?? call.id}`;
    if ((!existing.has(entry) && written.has(identity)) || (fullUrl !== undefined && identities.has(fullUrl)))
      throw new KeywardError('FHIR_BUNDLE_INVALID');
    if (!existing.has(entry)) written.add(identity);
    if (fullUrl !== undefined) identities.set(fullUrl, identity);
  }
  for (const { type, id } of existing.values())
    if (written.has(`${type}/${id}`)) throw new KeywardError('FHIR_BUNDLE_INVALID');
  return identities;
}
