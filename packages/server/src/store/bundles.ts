/** Batches and transactions: many interactions in one request; a transaction is all or nothing. */
import type { Json } from '@keyward/sdk/seal';
import { asKeywardError, KeywardError, newUuid } from '../core/index.ts';
import { type Entry, errorEntry, readEntry, responseEntry } from './bundle-entries.ts';
import * as interactions from './interactions.ts';
import type { Reply } from './interactions.ts';
import { type Identities, resolveConditionalReferences, rewriteReferences } from './references.ts';
import type { Repository } from './repository.ts';
import type { InteractionName } from './routes.ts';
import { parseCriteria } from './search-parse.ts';
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
  if (type === 'transaction')
    return processTransaction(
      entries.map((one) => readEntry(one, base)),
      repository,
    );
  throw new KeywardError('FHIR_BUNDLE_INVALID');
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
      answers.push(responseEntry(await interactions[entry.name](entry.call, repository), entry));
    } catch (error) {
      answers.push(errorEntry(asKeywardError(error), correlationId));
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
  const conditional = entries.some(
    ({ name, call }) => name.startsWith('conditional') || call.ifNoneExist !== undefined,
  );
  const answers = await repository.transaction(conditional ? 'SERIALIZABLE' : 'READ COMMITTED', async (within) => {
    const steps: Step[] = [];
    for (const entry of entries) steps.push(await planStep(entry, within));
    const identities = identitiesOf(steps);
    await resolveConditionalReferences(
      entries.flatMap(({ call }) => call.resource ?? []),
      identities,
      within,
    );
    const answered: JsonObject[] = [];
    for (const [index, step] of inOrder(steps))
      answered[index] = responseEntry(await step.run(within, identities), step.entry);
    return answered;
  });
  return { resourceType: 'Bundle', type: 'transaction-response', entry: answers };
}

const inOrder = (steps: readonly Step[]): [number, Step][] =>
  [...steps.entries()].sort(([, left], [, right]) => RANK[left.entry.name] - RANK[right.entry.name]);

/** One entry whose resource is known by id: conditions are resolved, new resources have their ids. */
interface Step {
  readonly entry: Entry;
  /** `Type/id`; undefined where nothing is identified. */
  readonly identity?: string;
  readonly writes: boolean;
  run(repository: Repository, identities: Identities): Promise<Reply>;
}

async function planStep(entry: Entry, repository: Repository): Promise<Step> {
  const { name, call } = entry;
  const { type, ifNoneExist } = call;
  if (name === 'create') {
    const match =
      ifNoneExist === undefined
        ? undefined
        : await repository.findOne(parseCriteria(type, new URLSearchParams(ifNoneExist)));
    return match === undefined ? createStep(entry) : atId(entry, 'read', match);
  }
  if (name === 'conditionalUpdate') {
    const match = await repository.findOne(parseCriteria(type, call.query));
    if (match !== undefined) return atId(entry, 'update', match);
    if (call.ifMatch !== undefined) throw new KeywardError('FHIR_PRECONDITION');
    if (call.resource?.['id'] !== undefined) throw new KeywardError('FHIR_RESOURCE_INVALID');
    return createStep(entry);
  }
  if (name === 'conditionalDelete') {
    const match = await repository.findOne(parseCriteria(type, call.query));
    return match === undefined
      ? { entry, writes: false, run: async () => ({ status: 204 }) }
      : atId(entry, 'remove', match);
  }
  return name === 'update' || name === 'remove'
    ? atId(entry, name, call.id)
    : { entry, writes: false, run: (on) => interactions[name](call, on) };
}

function createStep(entry: Entry): Step {
  const { type, resource } = entry.call;
  if (resource?.resourceType !== type) throw new KeywardError('FHIR_RESOURCE_INVALID');
  const id = newUuid();
  const run: Step['run'] = async (repository, identities) => {
    const stored = await repository.create(rewriteReferences(resource, identities), id);
    return { status: 201, stored };
  };
  return { entry, identity: `${type}/${id}`, writes: true, run };
}

/** The interaction on one resource, after its condition (if it had one) was met by `id`. */
function atId(entry: Entry, name: 'read' | 'update' | 'remove', id: string): Step {
  const { call } = entry;
  const given = call.resource?.['id'];
  if (entry.name === 'conditionalUpdate' && given !== undefined && given !== id)
    throw new KeywardError('FHIR_RESOURCE_INVALID');
  const run: Step['run'] = (repository, identities) => {
    const resource = call.resource && rewriteReferences(call.resource, identities);
    const withId = entry.name === 'conditionalUpdate' && resource ? { ...resource, id } : resource;
    return interactions[name]({ ...call, id, resource: withId }, repository);
  };
  return { entry, identity: `${call.type}/${id}`, writes: name !== 'read', run };
}

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
