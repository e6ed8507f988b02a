/** Entries of a batch or transaction: read strictly from the request, and written for the response. */
import { STATUS_CODES } from 'node:http';
import type { Json } from '@keyward/sdk/seal';
import { KeywardError, toOperationOutcome } from '../core/index.ts';
import { etag } from './http.ts';
import type { Call, InteractionName, Reply } from './interactions.ts';
import { routeOf } from './routes.ts';
import { isObject, type JsonObject, type Resource } from './types.ts';

export interface Entry {
  readonly name: InteractionName;
  readonly call: Call;
  /** How other entries refer to this one. */
  readonly fullUrl: string | undefined;
}

/** @throws KeywardError `FHIR_BUNDLE_INVALID`, or what `routeOf` throws. */
export function readEntry(entry: Json, base: string): Entry {
  const request = isObject(entry) ? entry['request'] : undefined;
  if (!isObject(entry) || !isObject(request)) throw new KeywardError('FHIR_BUNDLE_INVALID');
  const { name, ...route } = routeOf(requiredText(request, 'method'), requiredText(request, 'url'));
  const call: Call = {
    ...route,
    base,
    ifMatch: text(request, 'ifMatch'),
    ifNoneExist: text(request, 'ifNoneExist'),
    resource: asResource(entry['resource']),
  };
  return { name, call, fullUrl: text(entry, 'fullUrl') };
}

export function asResource(value: Json | undefined): Resource | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value) || typeof value['resourceType'] !== 'string') throw new KeywardError('FHIR_RESOURCE_INVALID');
  if (value['meta'] !== undefined && !isObject(value['meta'])) throw new KeywardError('FHIR_RESOURCE_INVALID');
  return value as Resource;
}

/** Writes answer with status and version only; the sender has the resource. */
export function responseEntry({ status, stored, body }: Reply, { call }: Entry): JsonObject {
  const location = stored && { location: `${stored.type}/${stored.id}/_history/${stored.version}` };
  const version = stored && { etag: etag(stored.version), lastModified: stored.lastUpdated.toISOString() };
  const isRead = call.resource === undefined && body !== undefined;
  return { ...(isRead ? { resource: body } : {}), response: { status: statusLine(status), ...location, ...version } };
}

export const errorEntry = (error: KeywardError, correlationId: string): JsonObject => ({
  response: { status: statusLine(error.row.status), outcome: toOperationOutcome(error, correlationId) as JsonObject },
});

const statusLine = (status: number): string => `${status} ${STATUS_CODES[status] ?? ''}`.trim();

function text(parent: JsonObject, name: string): string | undefined {
  const value = parent[name];
  if (value !== undefined && typeof value !== 'string') throw new KeywardError('FHIR_BUNDLE_INVALID');
  return value;
}

function requiredText(parent: JsonObject, name: string): string {
  return text(parent, name) ?? refuse();
}

function refuse(): never {
  throw new KeywardError('FHIR_BUNDLE_INVALID');
}
