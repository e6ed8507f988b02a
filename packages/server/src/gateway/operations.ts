/** What a write asks for, checked entry by entry: shape, ids, references, reserved marks. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError, newUuid } from '../core/index.ts';
import {
  assertNoReservedMarks,
  type Catalogue,
  type FhirResource,
  handleThatReveals,
  isResourceType,
  isSubsetted,
  mapReferences,
} from '../phi/index.ts';
import { atEntry, type Condition, criteriaOf, invalidEntry, planCondition } from './conditional.ts';
import { type Exchange, known, type WriteOperation } from './exchange.ts';
import { isId, relativeUrl, type Route, routeOf } from './routes.ts';

const object = (value: Json | undefined): { readonly [name: string]: Json } | undefined =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !JSON.isRawJSON(value)
    ? (value as { [name: string]: Json })
    : undefined;

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** ETag of a view with holes ends like this; a write built on it is refused. */
const SUBSETTED_ETAG = /-subsetted"?$/;

/** @throws KeywardError `FHIR_RESOURCE_INVALID` | `FHIR_ID_REFUSED` | `FHIR_RESERVED_EXTENSION` | `ACCESS_PARTIAL_WRITE` | `FHIR_PHI_IN_URL`. */
export function checkedResource(body: Json | undefined, type: string, id: string, catalogue: Catalogue): FhirResource {
  const resource = object(body);
  if (!resource || resource['resourceType'] !== type)
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: `Expected a ${type}.` });
  const checked = resource as FhirResource;
  if (id !== '' && checked.id !== id)
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: 'The id in the body is not the one in the address.' });
  if (isSubsetted(checked)) throw new KeywardError('ACCESS_PARTIAL_WRITE');
  assertNoReservedMarks(checked);
  const judged = holdsCondition(checked) ? withoutConditions(checked) : checked;
  const telling = handleThatReveals(judged, catalogue, id !== '');
  if (telling !== undefined) throw new KeywardError('FHIR_ID_REFUSED', { detail: `${telling} is one of its values.` });
  return checked;
}

/** A conditional reference tells who is meant, and is resolved or refused before anything is sealed. */
const withoutConditions = (resource: FhirResource): FhirResource =>
  mapReferences(resource, (reference) => reference.split('?')[0] ?? '');

/** A look is cheap: most resources hold none and need no copy. */
export function holdsCondition(value: Json): boolean {
  if (Array.isArray(value)) return (value as readonly Json[]).some(holdsCondition);
  const members = object(value) ?? {};
  return text(members['reference']).includes('?') || Object.values(members).some(holdsCondition);
}

/** The body of a write; where a condition stands for the id of an update, the body may still hold one (FHIR R4 §3.1.0.4.3). */
export function checkedBody(
  body: Json | undefined,
  { name, type, id }: Pick<Route, 'name' | 'type' | 'id'>,
  catalogue: Catalogue,
): FhirResource {
  const inBody = name === 'update' && id === '' ? (object(body)?.['id'] ?? '') : id;
  if (inBody !== id && !isId(inBody))
    throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: 'Its id is not one of FHIR.' });
  return checkedResource(body, type, inBody, catalogue);
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
function internalReference(publicBase: string, { references, renamed }: Names) {
  return (stated: string): string => {
    const reference = references.get(stated) ?? stated;
    if (reference.includes('?'))
      throw new KeywardError('FHIR_PHI_IN_URL', { detail: 'A conditional reference may stand in a transaction only.' });
    return (
      renamed.get(reference) ??
      (reference.startsWith(`${publicBase}/`) ? reference.slice(publicBase.length + 1) : reference)
    );
  };
}

/** What a request calls resources, and what they are called upstream. */
export interface Names {
  /** Conditional references, and what each was found to mean. */
  readonly references: ReadonlyMap<string, string>;
  /** `fullUrl` of entries. */
  readonly renamed: ReadonlyMap<string, string>;
}

/** The resource as it goes on: without the server's own members, references made internal. */
export function outgoingResource(resource: FhirResource, id: string, publicBase: string, names: Names): FhirResource {
  const refuseEntryLink = (link: string) => {
    // It would be sealed before the upstream assigns the id it should become, and dangle for ever.
    if (names.renamed.has(link))
      throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'Only references may name another entry, not urls.' });
  };
  const internal = mapReferences(resource, internalReference(publicBase, names), refuseEntryLink);
  const { id: _id, resourceType, ...rest } = internal;
  return { resourceType, ...(id === '' ? {} : { id }), ...rest };
}

/** Each entry of a batch waits for the ledger; a transaction holds its locks until the last. */
const MAX_ENTRIES = 5_000;

/** @throws KeywardError `FHIR_BUNDLE_INVALID`. */
export function bundleEntries(body: Json | undefined, type: 'transaction' | 'batch'): readonly Json[] {
  const bundle = body as { resourceType?: Json; type?: Json; entry?: Json } | null | undefined;
  if (bundle?.resourceType !== 'Bundle' || bundle.type !== type) throw new KeywardError('FHIR_BUNDLE_INVALID');
  const entries = bundle.entry ?? [];
  if (!Array.isArray(entries)) throw new KeywardError('FHIR_BUNDLE_INVALID');
  if (entries.length > MAX_ENTRIES)
    throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: `At most ${MAX_ENTRIES} entries.` });
  return entries;
}

/** @throws KeywardError also `FHIR_BUNDLE_INVALID`; the position of the entry is named. */
export async function transactionOperations(exchange: Exchange, entries: readonly Json[]): Promise<WriteOperation[]> {
  const seen = new Set<string>();
  const operations: WriteOperation[] = [];
  for (const [position, entry] of entries.entries()) {
    const operation = await atEntry(position, async () => transactionOperation(exchange, object(entry)));
    const target = operation.id === '' ? operation.fullUrl : `${operation.type}/${operation.id}`;
    if (target !== '' && seen.has(target))
      throw invalidEntry(position, 'It names the same resource as an earlier one.');
    seen.add(target);
    operations.push(operation);
  }
  return operations;
}

function transactionOperation(exchange: Exchange, entry: ReturnType<typeof object>): WriteOperation {
  const { gateway, principal } = exchange;
  const request = object(entry?.['request']);
  if (!entry || !request) throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'It has no request.' });
  if (request['ifNoneMatch'] !== undefined || request['ifModifiedSince'] !== undefined)
    throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED', { detail: 'ifNoneMatch and ifModifiedSince.' });
  const [path, criteria] = splitOnce(text(request['url']), '?');
  const { name, type, id } = routeOf(text(request['method']), relativeUrl(path, gateway.publicBase));
  if (name !== 'create' && name !== 'update' && name !== 'delete') {
    throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED', {
      detail: 'A transaction may create, update and delete; put reads and patches into a batch.',
    });
  }
  if (!isResourceType(type)) throw new KeywardError('FHIR_TYPE_UNKNOWN');
  exchange.targets.push(id === '' ? type : `${type}/${id}`);
  const condition = entryCondition(exchange, { name, type, id }, criteria, request['ifNoneExist']);
  const resource =
    name === 'delete' ? undefined : checkedBody(entry['resource'], { name, type, id }, gateway.catalogue);
  const ifMatch = checkedIfMatch(text(request['ifMatch']) || undefined);
  const decision = gateway.policy.decide(known(principal, 'principal'), name, type);
  return { interaction: name, type, id, resource, fullUrl: text(entry['fullUrl']), ifMatch, decision, condition };
}

type WriteRoute = { readonly name: WriteOperation['interaction']; readonly type: string; readonly id: string };

/** A create asks by ifNoneExist, the others by the parameters of their url, and only where it names no id. */
function entryCondition(
  exchange: Exchange,
  { name, type, id }: WriteRoute,
  criteria: string | undefined,
  ifNoneExist: Json | undefined,
): Condition | undefined {
  const misplaced = name === 'create' || id !== '' ? criteria !== undefined : ifNoneExist !== undefined;
  if (misplaced || (name !== 'create' && ifNoneExist !== undefined))
    throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'A condition does not fit its method and url.' });
  if (name !== 'create')
    return id === '' ? planCondition(exchange, type, criteriaOf(criteria ?? ''), false) : undefined;
  return ifNoneExist === undefined ? undefined : planCondition(exchange, type, criteriaOf(text(ifNoneExist)), false);
}

function splitOnce(value: string, separator: string): [before: string, after: string | undefined] {
  const at = value.indexOf(separator);
  return at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)];
}

/** Fresh `urn:uuid` for each entry: clients like to put record numbers there, and the upstream must not see them. */
export const renamedEntries = (operations: readonly WriteOperation[]): Map<string, string> =>
  new Map(
    operations
      .filter(({ fullUrl }) => fullUrl !== '')
      .map(({ fullUrl, type, id }) => [fullUrl, id === '' ? `urn:uuid:${newUuid()}` : `${type}/${id}`]),
  );
