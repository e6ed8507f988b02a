/** Batches and transactions: many interactions in one request; a transaction is all or nothing. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { type Entry, errorEntry, readEntry, responseEntry } from './bundle-entries.ts';
import { asCoded } from './failures.ts';
import { planStep, type Step } from './bundle-steps.ts';
import { type InteractionName, INTERACTIONS } from './interactions.ts';
import { type Identities, resolveConditionalReferences } from './references.ts';
import type { Repository } from './repository.ts';
import type { JsonObject, Resource } from './types.ts';

/** @throws KeywardError `FHIR_BUNDLE_INVALID`, or what an entry of a transaction throws. */
export function processBundle(
  bundle: Resource,
  repository: Repository,
  base: string,
  correlationId: string,
): Promise<JsonObject> {
  const { resourceType, type, entry = [] } = bundle;
  if (resourceType !== 'Bundle' || !Array.isArray(entry)) throw new KeywardError('FHIR_BUNDLE_INVALID');
  const entries: readonly Json[] = entry;
  if (type === 'batch') return processBatch(entries, repository, base, correlationId);
  if (type !== 'transaction') throw new KeywardError('FHIR_BUNDLE_INVALID');
  const read = entries.map((one) => readEntry(one, base));
  return processTransaction(read, repository);
}

/** Every entry on its own; the failure of one is its own answer. */
async function processBatch(
  entries: readonly Json[],
  repository: Repository,
  base: string,
  correlationId: string,
): Promise<JsonObject> {
  const answers: JsonObject[] = [];
  for (const one of entries) {
    try {
      const entry = readEntry(one, base);
      answers.push(responseEntry(await INTERACTIONS[entry.name](entry.call, repository), entry));
    } catch (error) {
      answers.push(errorEntry(asCoded(error), correlationId));
    }
  }
  return { resourceType: 'Bundle', type: 'batch-response', entry: answers };
}

/** R4 §3.1.0.11.2: deletes, then creates, then updates, then reads, whatever their order in the bundle. */
const RANK: Readonly<Record<InteractionName, number>> = {
  remove: 0,
  conditionalDelete: 0,
  create: 1,
  update: 2,
  conditionalUpdate: 2,
  read: 3,
  vread: 3,
  history: 3,
  search: 3,
};

async function processTransaction(entries: readonly Entry[], repository: Repository): Promise<JsonObject> {
  refuseSameCondition(entries);
  const isolation = entries.some(isConditional) ? 'SERIALIZABLE' : 'READ COMMITTED';
  const answers = await repository.transaction(isolation, async (within) => {
    const steps: Step[] = [];
    for (const entry of entries) steps.push(await planStep(entry, within));
    const identities = identitiesOf(steps);
    const resources = entries.flatMap(({ call }) => call.resource ?? []);
    await resolveConditionalReferences(resources, identities, within);
    const answered: JsonObject[] = [];
    for (const [index, step] of inOrder(steps)) {
      answered[index] = responseEntry(await step.run(within, identities), step.entry);
    }
    return answered;
  });
  return { resourceType: 'Bundle', type: 'transaction-response', entry: answers };
}

/** Two entries under one condition would both find nothing and both create. @throws KeywardError `FHIR_BUNDLE_INVALID` */
function refuseSameCondition(entries: readonly Entry[]): void {
  const conditions = entries.flatMap(({ name, call }) => {
    const criteria = name === 'conditionalUpdate' ? JSON.stringify(call.query) : call.ifNoneExist;
    return criteria === undefined ? [] : `${call.type}?${criteria}`;
  });
  if (new Set(conditions).size < conditions.length) throw new KeywardError('FHIR_BUNDLE_INVALID');
}

const isConditional = ({ name, call }: Entry): boolean =>
  name.startsWith('conditional') || call.ifNoneExist !== undefined;

const inOrder = (steps: readonly Step[]): [number, Step][] =>
  [...steps.entries()].sort(([, left], [, right]) => RANK[left.entry.name] - RANK[right.entry.name]);

/** @throws KeywardError `FHIR_BUNDLE_INVALID` when two entries write the same resource or share a fullUrl. */
function identitiesOf(steps: readonly Step[]): Identities {
  const identities: Identities = new Map();
  const written = new Set<string>();
  for (const { entry, identity, writes } of steps) {
    if (identity === undefined) continue;
    const { fullUrl } = entry;
    if ((writes && written.has(identity)) || (fullUrl !== undefined && identities.has(fullUrl)))
      throw new KeywardError('FHIR_BUNDLE_INVALID');
    if (writes) written.add(identity);
    if (fullUrl !== undefined) identities.set(fullUrl, identity);
  }
  return identities;
}
