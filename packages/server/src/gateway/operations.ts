/** What a write asks for, checked entry by entry: shape, ids, references, reserved marks. */
import type { Json } from '@keyward/sdk/seal';
import { type ErrorCode, KeywardError, newUuid } from '../core/index.ts';
import {
  assertNoReservedMarks,
  type FhirResource,
  idRevealsIdentifier,
  isResourceType,
  isSubsetted,
  mapReferences,
} from '../phi/index.ts';
import { type Exchange, known, type WriteOperation } from './exchange.ts';
import { routeOf } from './routes.ts';

const object = (value: Json | undefined): { readonly [name: string]: Json } | undefined =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !JSON.isRawJSON(value)
    ? (value as { [name: string]: Json })
    : undefined;

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** ETag of a view with holes ends like this; a write built on it is refused. */
const SUBSETTED_ETAG = /-subsetted"?$/;

/** @throws KeywardError `FHIR_RESOURCE_INVALID` | `FHIR_ID_REFUSED` | `FHIR_RESERVED_EXTENSION` | `ACCESS_PARTIAL_WRITE` | `FHIR_PHI_IN_URL`. */
export function checkedResource(body: Json | undefined, type: string, id: string): FhirResource {
  const resource = object(body);
  if (!resource || resource['resourceType'] !== type)
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `Expected a ${type}.` });
  const checked = resource as FhirResource;
  if (id !== '' && checked.id !== id)
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: 'The id in the body is not the one in the address.' });
  if (isSubsetted(checked)) throw new KeywardError('ACCESS_PARTIAL_WRITE');
  assertNoReservedMarks(checked);
  if (id !== '' && idRevealsIdentifier(checked)) throw new KeywardError('FHIR_ID_REFUSED');
  return checked;
}

/** One weak ETag of a version id (FHIR R4 §3.1.0.1.6); anything else would carry a client's text to the upstream. */
const VERSION_ETAG = /^W\/"[A-Za-z0-9.-]{1,64}"$/;

/** @throws KeywardError `ACCESS_PARTIAL_WRITE` | `GATEWAY_HEADER_REFUSED`. */
export function checkedIfMatch(ifMatch: string | undefined): string | undefined {
  if (ifMatch === undefined) return undefined;
  if (SUBSETTED_ETAG.test(ifMatch)) throw new KeywardError('ACCESS_PARTIAL_WRITE');
  if (!VERSION_ETAG.test(ifMatch))
    throw new KeywardError('GATEWAY_HEADER_REFUSED', { detail: 'If-Match takes one version, as in W/"1".' });
  return ifMatch;
}

/** References as the upstream stores them: relative where they point at us; a conditional one would carry PHI in a URL. */
function internalReference(publicBase: string, renamed: ReadonlyMap<string, string>) {
  return (reference: string): string => {
    if (reference.includes('?'))
      throw new KeywardError('FHIR_PHI_IN_URL', { detail: 'Conditional references are not supported.' });
    return (
      renamed.get(reference) ??
      (reference.startsWith(`${publicBase}/`) ? reference.slice(publicBase.length + 1) : reference)
    );
  };
}

/** The resource as it goes on: without the server's own members, references made internal. */
export function outgoingResource(
  resource: FhirResource,
  id: string,
  publicBase: string,
  renamed: ReadonlyMap<string, string> = new Map(),
): FhirResource {
  const refuseEntryLink = (link: string) => {
    // It would be sealed before the upstream assigns the id it should become, and dangle for ever.
    if (renamed.has(link))
      throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'Only references may name another entry, not urls.' });
  };
  const internal = mapReferences(resource, internalReference(publicBase, renamed), refuseEntryLink);
  const { id: _id, resourceType, ...rest } = internal;
  return { resourceType, ...(id === '' ? {} : { id }), ...rest };
}

/** @throws KeywardError also `FHIR_BUNDLE_INVALID`, naming the entry by position. */
export function transactionOperations(exchange: Exchange, entries: readonly Json[]): WriteOperation[] {
  const seen = new Set<string>();
  return entries.map((entry, position) => {
    const operation = transactionOperation(exchange, object(entry), position);
    const target = operation.id === '' ? operation.fullUrl : `${operation.type}/${operation.id}`;
    if (target !== '' && seen.has(target))
      throw invalidEntry(position, 'It names the same resource as an earlier one.');
    seen.add(target);
    return operation;
  });
}

function transactionOperation(exchange: Exchange, entry: ReturnType<typeof object>, position: number): WriteOperation {
  const { gateway, principal } = exchange;
  const request = object(entry?.['request']);
  const method = text(request?.['method']);
  if (!entry || !request) throw invalidEntry(position, 'It has no request.');
  if (
    request['ifNoneExist'] !== undefined ||
    request['ifNoneMatch'] !== undefined ||
    request['ifModifiedSince'] !== undefined
  ) {
    throw invalidEntry(position, 'Conditional requests are not supported.', 'FHIR_INTERACTION_UNSUPPORTED');
  }
  const url = text(request['url']);
  if (url.includes('?')) throw invalidEntry(position, 'Its url has parameters.', 'FHIR_PHI_IN_URL');
  const { name, type, id } = routeOf(method, relativeUrl(url, gateway.publicBase));
  if (name !== 'create' && name !== 'update' && name !== 'delete') {
    throw invalidEntry(
      position,
      'A transaction may create, update and delete; put reads into a batch.',
      'FHIR_INTERACTION_UNSUPPORTED',
    );
  }
  if (!isResourceType(type)) throw new KeywardError('FHIR_TYPE_UNKNOWN', { detail: `Entry ${position}.` });
  exchange.targets.push(id === '' ? type : `${type}/${id}`);
  const resource = name === 'delete' ? undefined : checkedResource(entry['resource'], type, id);
  const ifMatch = checkedIfMatch(text(request['ifMatch']) || undefined);
  const decision = gateway.policy.decide(known(principal, 'principal'), name, type);
  return { interaction: name, type, id, resource, fullUrl: text(entry['fullUrl']), ifMatch, decision };
}

const invalidEntry = (position: number, why: string, code: ErrorCode = 'FHIR_BUNDLE_INVALID') =>
  new KeywardError(code, { detail: `Entry ${position}: ${why}` });

export const relativeUrl = (url: string, publicBase: string): string =>
  (url.startsWith(`${publicBase}/`) ? url.slice(publicBase.length + 1) : url).replace(/^\//, '');

/** Fresh `urn:uuid` for each entry: clients like to put record numbers there, and the upstream must not see them. */
export const renamedEntries = (operations: readonly WriteOperation[]): Map<string, string> =>
  new Map(
    operations
      .filter(({ fullUrl }) => fullUrl !== '')
      .map(({ fullUrl, type, id }) => [fullUrl, id === '' ? `urn:uuid:${newUuid()}` : `${type}/${id}`]),
  );
