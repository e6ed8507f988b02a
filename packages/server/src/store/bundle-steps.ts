/** Entries of a transaction made definite: conditions are resolved and new resources have their ids before anything is written. */
import { KeywardError, newUuid } from '../core/index.ts';
import type { Entry } from './bundle-entries.ts';
import { type InteractionName, INTERACTIONS, type Reply } from './interactions.ts';
import { type Identities, rewriteReferences } from './references.ts';
import type { Repository } from './repository.ts';
import { parseCriteria } from './search-parse.ts';

export interface Step {
  readonly entry: Entry;
  /** `Type/id`; undefined where nothing is identified. */
  readonly identity?: string;
  readonly writes: boolean;
  run(repository: Repository, identities: Identities): Promise<Reply>;
}

type Plan = (entry: Entry, repository: Repository) => Promise<Step>;

export const planStep: Plan = (entry, repository) => PLANS[entry.name](entry, repository);

const asItIs: Plan = async (entry) => ({
  entry,
  writes: false,
  run: (repository) => INTERACTIONS[entry.name](entry.call, repository),
});

/** With If-None-Exist, a match is the answer and nothing is written. */
const planCreate: Plan = async (entry, repository) => {
  const { type, ifNoneExist } = entry.call;
  if (ifNoneExist === undefined) return createStep(entry);
  const match = await repository.findOne(parseCriteria(type, new URLSearchParams(ifNoneExist)));
  return match === undefined ? createStep(entry) : stepAt(entry, 'read', match);
};

const planConditionalUpdate: Plan = async (entry, repository) => {
  const { type, query, ifMatch, resource } = entry.call;
  const match = await repository.findOne(parseCriteria(type, query));
  const id = resource?.['id'];
  if (id !== undefined && id !== match) throw new KeywardError('FHIR_RESOURCE_INVALID');
  if (match !== undefined) return stepAt(entry, 'update', match);
  if (ifMatch !== undefined) throw new KeywardError('FHIR_PRECONDITION');
  return createStep(entry);
};

const planConditionalDelete: Plan = async (entry, repository) => {
  const { type, query } = entry.call;
  const match = await repository.findOne(parseCriteria(type, query));
  if (match !== undefined) return stepAt(entry, 'remove', match);
  return { entry, writes: false, run: async () => ({ status: 204 }) };
};

const PLANS: Readonly<Record<InteractionName, Plan>> = {
  create: planCreate,
  update: async (entry) => stepAt(entry, 'update', entry.call.id),
  conditionalUpdate: planConditionalUpdate,
  remove: async (entry) => stepAt(entry, 'remove', entry.call.id),
  conditionalDelete: planConditionalDelete,
  read: asItIs,
  vread: asItIs,
  history: asItIs,
  search: asItIs,
};

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
function stepAt(entry: Entry, name: 'read' | 'update' | 'remove', id: string): Step {
  const { call } = entry;
  const run: Step['run'] = (repository, identities) => {
    const rewritten = call.resource && rewriteReferences(call.resource, identities);
    // Whoever updates by condition need not know the id.
    const resource = rewritten && entry.name === 'conditionalUpdate' ? { ...rewritten, id } : rewritten;
    return INTERACTIONS[name]({ ...call, id, resource }, repository);
  };
  return { entry, identity: `${call.type}/${id}`, writes: name !== 'read', run };
}
