/** The FHIR interactions of the store, one function each. */
import { KeywardError, newUuid } from '../core/index.ts';
import type { Criteria } from './conditional.ts';
import { historyBundle, searchBundle } from './result-bundles.ts';
import type { Repository, SearchPage } from './repository.ts';
import { operationPairs } from './operation-parameters.ts';
import { parseEverything, parseHistory, parseSearch } from './search-parse.ts';
import type { Resource, SearchPair, StoredVersion } from './types.ts';

export interface Call {
  /** `''` where the route has none. */
  readonly type: string;
  readonly id: string;
  readonly version: string;
  readonly query: readonly SearchPair[];
  readonly ifMatch: string | undefined;
  /** Only of a create. */
  readonly criteria: Criteria | undefined;
  readonly resource: Resource | undefined;
  /** What absolute links begin with, e.g. `http://store`. */
  readonly base: string;
}

export interface Reply {
  readonly status: number;
  /** JSON. */
  readonly body?: string;
  /** The version that was read or written: becomes ETag, Last-Modified and, when created, Location. */
  readonly stored?: StoredVersion;
}

type Interaction = (call: Call, repository: Repository) => Promise<Reply>;

/** Versions are counted. */
const VERSION = /^\d{1,9}$/;

const read: Interaction = async ({ type, id }, repository) => found(await repository.read(type, id));

const vread: Interaction = async ({ type, id, version }, repository) => {
  if (!VERSION.test(version)) throw new KeywardError('FHIR_NOT_FOUND');
  return found(await repository.readVersion(type, id, Number(version)));
};

const history: Interaction = async (call, repository) => {
  const page = parseHistory(call.query);
  return { status: 200, body: historyBundle(call, page, await repository.history(call.type, call.id, page)) };
};

const search: Interaction = async (call, repository) => {
  const parsed = parseSearch(call.type, call.query);
  const total = parsed.withTotal ? await repository.count(parsed) : undefined;
  const page = parsed.count === 0 ? EMPTY_PAGE : await repository.search(parsed);
  return { status: 200, body: searchBundle(call, call.type, page, total) };
};

const EMPTY_PAGE: SearchPage = { matches: [], included: [], next: undefined };

/** Parameters of a POST may stand in a Parameters resource. */
const everything: Interaction = async (call, repository) => {
  const query = [...call.query, ...operationPairs(call.resource)];
  const page = await repository.everything(call, parseEverything(query));
  const path = `${call.type}/${call.id}/$everything`;
  return { status: 200, body: searchBundle({ ...call, query }, path, page, undefined) };
};

/** The id is the store's, whatever the resource says. */
const create: Interaction = async (call, repository) => {
  const { criteria } = call;
  if (criteria === undefined) return created(await repository.create(resourceOf(call), call.id || newUuid()));
  return repository.transaction(async (within) => {
    const [existing] = await within.existing([criteria]);
    return existing
      ? found(await within.read(call.type, existing.id))
      : create({ ...call, criteria: undefined }, within);
  });
};

const update: Interaction = async (call, repository) => {
  const resource = resourceOf(call);
  if (resource['id'] !== call.id) throw new KeywardError('FHIR_RESOURCE_INVALID');
  const { stored, isNew } = await repository.update(resource, call.id, versionOf(call.ifMatch));
  return isNew ? created(stored) : found(stored);
};

const remove: Interaction = async ({ type, id, ifMatch }, repository) => {
  await repository.delete(type, id, versionOf(ifMatch));
  return { status: 204 };
};

/** The names are those of the routes. */
export const INTERACTIONS = {
  read,
  vread,
  history,
  search,
  everything,
  create,
  update,
  remove,
} as const satisfies Record<string, Interaction>;

export type InteractionName = keyof typeof INTERACTIONS;

const found = (stored: StoredVersion): Reply => ({ status: 200, body: stored.text, stored });
const created = (stored: StoredVersion): Reply => ({ status: 201, body: stored.text, stored });

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
