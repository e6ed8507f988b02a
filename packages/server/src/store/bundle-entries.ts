/** Entries of a transaction: read strictly from the request, and written for the response. */
import { STATUS_CODES } from 'node:http';
import type { Json } from '@keyward/sdk/seal';
import { KeywardError, newUuid } from '../core/index.ts';
import { criteriaOf } from './conditional.ts';
import { etag } from './http.ts';
import type { Call, InteractionName } from './interactions.ts';
import { routeOf } from './routes.ts';
import { isObject, type JsonObject, type Resource, type StoredAddress } from './types.ts';

/** What may stand in a transaction, in the order it is done whatever the order of the entries (R4 §3.1.0.11.2). */
const WRITES = ['remove', 'create', 'update'] as const satisfies readonly InteractionName[];
type WriteName = (typeof WRITES)[number];

export interface Entry {
  readonly name: WriteName;
  /** A new resource has its id already, so that other entries can refer to it. */
  readonly call: Call;
  /** How other entries refer to this one. */
  readonly fullUrl: string | undefined;
}

/** As in the headers of a single request. */
const UNSUPPORTED_CONDITIONS = ['ifNoneMatch', 'ifModifiedSince'];

/** @throws KeywardError `FHIR_BUNDLE_INVALID` | `FHIR_INTERACTION_UNSUPPORTED`, or what `routeOf` throws. */
export function readEntry(entry: Json, base: string): Entry {
  const request = isObject(entry) ? entry['request'] : undefined;
  if (!isObject(entry) || !isObject(request)) throw new KeywardError('FHIR_BUNDLE_INVALID');
  const { name, id, ...route } = routeOf(requiredText(request, 'method'), requiredText(request, 'url'));
  if (!isWrite(name) || UNSUPPORTED_CONDITIONS.some((condition) => request[condition] !== undefined))
    throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED');
  const call: Call = {
    ...route,
    id: name === 'create' ? newUuid() : id,
    base,
    ifMatch: text(request, 'ifMatch'),
    criteria: criteriaOf(name, route.type, text(request, 'ifNoneExist')),
    resource: asResource(entry['resource']),
  };
  return { name, call, fullUrl: text(entry, 'fullUrl') };
}

const isWrite = (name: InteractionName): name is WriteName => (WRITES as readonly string[]).includes(name);

export const rankOf = ({ name }: Entry): number => WRITES.indexOf(name);

export function asResource(value: Json | undefined): Resource | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value) || typeof value['resourceType'] !== 'string') throw new KeywardError('FHIR_RESOURCE_INVALID');
  if (value['meta'] !== undefined && !isObject(value['meta'])) throw new KeywardError('FHIR_RESOURCE_INVALID');
  return value as Resource;
}

/** Status and version only; the sender has the resource. */
export function responseEntry(status: number, stored: StoredAddress | undefined): JsonObject {
  const version = stored && {
    location: `${stored.type}/${stored.id}/_history/${stored.version}`,
    etag: etag(stored.version),
    lastModified: stored.lastUpdated.toISOString(),
  };
  return { response: { status: `${status} ${STATUS_CODES[status] ?? ''}`.trim(), ...version } };
}

function text(parent: JsonObject, name: string): string | undefined {
  const value = parent[name];
  if (value !== undefined && typeof value !== 'string') throw new KeywardError('FHIR_BUNDLE_INVALID');
  return value;
}

function requiredText(parent: JsonObject, name: string): string {
  const value = text(parent, name);
  if (value === undefined) throw new KeywardError('FHIR_BUNDLE_INVALID');
  return value;
}
