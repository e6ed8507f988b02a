/** Step 15 of a write: where it is now, in which version, and, unless the caller prefers less, what it holds. */
import type { Json } from '@keyward/sdk/seal';
import { type FhirResource, isSubsetted } from '../../phi/index.ts';
import { type Exchange, known } from '../exchange.ts';
import { createdByAnother, type WriteResult, writeResults } from '../results.ts';
import { preferredReturn } from './existing.ts';
import { cacheHeaders, etag } from './reply.ts';

export function replyWritten(exchange: Exchange): void {
  const operation = known(exchange.operations[0], 'operation');
  const result = known(writeResults(exchange)[0], 'result');
  if (operation.interaction === 'delete') {
    exchange.reply = { status: 204, headers: {}, body: undefined };
    return;
  }
  const created = result.status === '201';
  const unwritten = operation.settled !== undefined || createdByAnother(operation, result);
  const body = unwritten ? exchange.findings[0]?.opened : shownAfterWrite(exchange, result);
  exchange.reply = {
    status: created ? 201 : 200,
    headers: {
      ...cacheHeaders(result.version, result.lastModified, body !== undefined && isSubsetted(body)),
      ...(created || unwritten ? { location: locationOf(exchange, result) } : {}),
    },
    body,
  };
}

/** A create or update came whole from the caller; who patches may read all. */
function shownAfterWrite(exchange: Exchange, result: WriteResult): FhirResource | undefined {
  if (preferredReturn(exchange) === 'minimal') return undefined;
  return withServerMembers(known(exchange.operations[0]?.resource, 'resource'), result);
}

const locationOf = ({ gateway }: Exchange, { type, id, version }: WriteResult): string =>
  `${gateway.publicBase}/${type}/${id}${version === '' ? '' : `/_history/${version}`}`;

/** What the client sent, with the members the server decides; the upstream's copy is not needed to show it. */
function withServerMembers(resource: FhirResource, { id, version, lastModified }: WriteResult): FhirResource {
  const { resourceType, id: _id, meta, ...rest } = resource;
  const serverMeta = {
    ...(version === '' ? {} : { versionId: version }),
    ...(lastModified === undefined ? {} : { lastUpdated: lastModified }),
  };
  return { resourceType, id, meta: { ...(meta as { [name: string]: Json } | undefined), ...serverMeta }, ...rest };
}

export function replyTransaction(exchange: Exchange): void {
  const entry = writeResults(exchange).map((result) => ({ response: entryResponse(exchange, result) }));
  exchange.reply = { status: 200, headers: {}, body: { resourceType: 'Bundle', type: 'transaction-response', entry } };
}

function entryResponse(exchange: Exchange, result: WriteResult): { readonly [name: string]: Json } {
  const { version, status, lastModified } = result;
  return {
    status,
    ...(version === '' ? {} : { location: locationOf(exchange, result), etag: etag(version) }),
    ...(lastModified === undefined ? {} : { lastModified }),
  };
}
