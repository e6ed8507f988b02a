/** The FHIR interactions of the store, one function each. */
import { KeywardError } from '../core/index.ts';
import { historyBundle, searchBundle } from './result-bundles.ts';
import type { Repository } from './repository.ts';
import { parseCriteria, parseSearch, readCount } from './search-parse.ts';
import type { JsonObject, Resource, SearchPair, StoredVersion } from './types.ts';

export interface Call {
  /** `''` where the route has none. */
  readonly type: string;
  readonly id: string;
  readonly version: string;
  readonly query: readonly SearchPair[];
  readonly ifMatch: string | undefined;
  readonly ifNoneExist: string | undefined;
  readonly resource: Resource | undefined;
  /** What absolute links begin with, e.g. `http://store`. */
  readonly base: string;
}

export interface Reply {
  readonly status: number;
  readonly body?: JsonObject;
  /** The version that was read or written: becomes ETag, Last-Modified and, when created, Location. */
  readonly stored?: StoredVersion;
}

type Interaction = (call: Call, repository: Repository) => Promise<Reply>;

const read: Interaction = async ({ type, id }, repository) => found(await repository.read(type, id));

const vread: Interaction = async ({ type, id, version }, repository) =>
  found(await repository.readVersion(type, id, readCount(version)));

const history: Interaction = async (call, repository) => {
  // Paging is read like that of a search; a history has no other parameters.
  const page = parseSearch(
    call.type,
    call.query.filter(([name]) => HISTORY_PARAMETERS.includes(name)),
  );
  if (call.query.some(([name]) => !HISTORY_PARAMETERS.includes(name))) throw new KeywardError('FHIR_PARAM_UNSUPPORTED');
  const { total, entries } = await repository.history(call.type, call.id, page);
  return { status: 200, body: historyBundle(call, page, total, entries) };
};
const HISTORY_PARAMETERS: readonly string[] = ['_count', '_offset', '_format'];

const search: Interaction = async (call, repository) => {
  const parsed = parseSearch(call.type, call.query);
  const total = parsed.withTotal ? await repository.count(parsed) : undefined;
  const page = parsed.count === 0 ? { matches: [], hasNext: false } : await repository.search(parsed);
  return { status: 200, body: searchBundle(call, parsed, page, total) };
};

/** With If-None-Exist, the one match is the answer and nothing is written. */
const create: Interaction = async (call, repository) => {
  const resource = resourceOf(call);
  const { ifNoneExist } = call;
  if (ifNoneExist === undefined) return created(await repository.create(resource));
  const criteria = parseCriteria(call.type, new URLSearchParams(ifNoneExist));
  return repository.transaction('SERIALIZABLE', async (within) => {
    const id = await within.findOne(criteria);
    return id === undefined ? created(await within.create(resource)) : found(await within.read(call.type, id));
  });
};

const update: Interaction = async (call, repository) => {
  const resource = resourceOf(call);
  if (resource['id'] !== call.id) throw new KeywardError('FHIR_RESOURCE_INVALID');
  return written(await repository.update(resource, call.id, versionOf(call.ifMatch)));
};

/** An id in the body must be that of the match; without a match the store chooses the id, so there must be none. */
const conditionalUpdate: Interaction = async (call, repository) => {
  const resource = resourceOf(call);
  const criteria = parseCriteria(call.type, call.query);
  return repository.transaction('SERIALIZABLE', async (within) => {
    const id = await within.findOne(criteria);
    if (resource['id'] !== undefined && resource['id'] !== id) throw new KeywardError('FHIR_RESOURCE_INVALID');
    if (id !== undefined) return written(await within.update(resource, id, versionOf(call.ifMatch)));
    if (call.ifMatch !== undefined) throw new KeywardError('FHIR_PRECONDITION');
    return created(await within.create(resource));
  });
};

const remove: Interaction = async ({ type, id, ifMatch }, repository) => {
  await repository.delete(type, id, versionOf(ifMatch));
  return { status: 204 };
};

const conditionalDelete: Interaction = async (call, repository) => {
  const criteria = parseCriteria(call.type, call.query);
  return repository.transaction('SERIALIZABLE', async (within) => {
    const id = await within.findOne(criteria);
    if (id !== undefined) await within.delete(call.type, id, versionOf(call.ifMatch));
    return { status: 204 };
  });
};

/** The names are those of the routes. */
export const INTERACTIONS = {
  read,
  vread,
  history,
  search,
  create,
  update,
  conditionalUpdate,
  remove,
  conditionalDelete,
} as const satisfies Record<string, Interaction>;

export type InteractionName = keyof typeof INTERACTIONS;

const found = (stored: StoredVersion): Reply => ({ status: 200, body: stored.resource, stored });
const created = (stored: StoredVersion): Reply => ({ status: 201, body: stored.resource, stored });
const written = (stored: StoredVersion): Reply => (stored.version === 1 ? created(stored) : found(stored));

function resourceOf({ resource, type }: Call): Resource {
  if (resource?.resourceType !== type) throw new KeywardError('FHIR_RESOURCE_INVALID');
  return resource;
}

/** `W/"3"`, as our ETags are, or `"3"`. Anything else cannot be a version of ours, so the condition fails. */
function versionOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined) return undefined;
  const match = /^(?:W\/)?"(\d{1,9})"$/.exec(ifMatch);
  if (!match) throw new KeywardError('FHIR_PRECONDITION');
  return Number(match[1]);
}
