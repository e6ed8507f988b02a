/** What the upstream said became of each write. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { FhirResource } from '../phi/index.ts';
import { type AnswerEntry, asBundle, asResource } from './answers.ts';
import { type Exchange, known, type WriteOperation } from './exchange.ts';
import { ID, isId } from './routes.ts';
import type { UpstreamAnswer } from './upstream.ts';

export interface WriteResult {
  readonly type: string;
  readonly id: string;
  /** '' for a delete. */
  readonly version: string;
  readonly lastModified: string | undefined;
  /** e.g. `201`. */
  readonly status: string;
}

/** By position of the operation. @throws KeywardError `GATEWAY_UPSTREAM_INVALID`: nothing but ids, versions, instants and status codes is taken over. */
export function writeResults(exchange: Exchange): WriteResult[] {
  const sent = exchange.operations.filter(({ settled }) => !settled);
  const results = nothingToSend(exchange) ? [] : sentResults(exchange, sent);
  let next = 0;
  return exchange.operations.map(({ settled }) => settled?.result ?? known(results[next++], 'result'));
}

/** Conditions may leave nothing to do; an empty transaction is sent like any other. */
export const nothingToSend = ({ operations }: Exchange): boolean =>
  operations.length > 0 && operations.every(({ settled }) => settled !== undefined);

function sentResults(exchange: Exchange, sent: readonly WriteOperation[]): WriteResult[] {
  const answer = known(exchange.answer, 'answer');
  if (exchange.route.name !== 'bundle') return [singleResult(known(sent[0], 'operation'), answer)];
  const entries = asBundle(answer.body).entry ?? [];
  if (entries.length !== sent.length) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return entries.map((entry, index) => entryResult(known(sent[index], 'operation'), entry));
}

/** The upstream's own guard found a resource that the gateway's search did not: somebody else created it in between. */
export const createdByAnother = ({ guard, settled }: WriteOperation, { status }: WriteResult): boolean =>
  guard !== undefined && !settled && status !== '201';

const LOCATION = new RegExp(`(?:^|/)([A-Z][A-Za-z]*)/(${ID})(?:/_history/(${ID}))?$`);

function entryResult({ type, id, interaction }: WriteOperation, { response, resource }: AnswerEntry): WriteResult {
  const status = /^2\d\d(?= |$)/.exec(response?.status ?? '')?.[0];
  if (status === undefined) throw new KeywardError('FHIR_UPSTREAM_REFUSED');
  const [, locatedType = type, locatedId = id, locatedVersion] = LOCATION.exec(response?.location ?? '') ?? [];
  if (locatedType !== type || locatedId === '' || (id !== '' && locatedId !== id))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const meta = metaOf(resource as Json | undefined);
  const version = locatedVersion ?? etagVersion(response?.etag) ?? meta.versionId ?? '';
  const lastModified = meta.lastUpdated ?? instant(response?.lastModified);
  return { type, id: locatedId, version: interaction === 'delete' ? '' : version, lastModified, status };
}

function singleResult(operation: WriteOperation, { status, headers, body }: UpstreamAnswer): WriteResult {
  const { type, id, interaction, guard } = operation;
  if (interaction === 'delete') return { type, id, version: '', lastModified: undefined, status: String(status) };
  // Of a resource that another writer created, a server may tell no more than where it is.
  if (guard !== undefined && status === 200 && body === undefined)
    return entryResult(operation, { response: { status: '200', location: headerText(headers['location']) } });
  const resource = asResource(body);
  const { versionId, lastUpdated } = metaOf(resource);
  const assigned = idText(resource.id);
  if (resource.resourceType !== type || !assigned || (id !== '' && assigned !== id))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return { type, id: assigned, version: versionId ?? '', lastModified: lastUpdated, status: String(status) };
}

const idText = (value: Json | undefined): string | undefined => (isId(value) ? value : undefined);
/** FHIR R4 instant, by its characters. */
const instant = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && /^[-0-9T:.Z+]{20,40}$/.test(value) ? value : undefined;
const etagVersion = (etag: string | undefined): string | undefined => idText(/^W\/"(.*)"$/.exec(etag ?? '')?.[1]);

const headerText = (value: string | string[] | undefined): string => (typeof value === 'string' ? value : '');

/**
 * The version that a write under If-Match names: without one, a change made in the meantime would be lost.
 * @throws KeywardError `GATEWAY_UPSTREAM_INVALID` when the upstream names none
 */
export function requiredVersion(resource: FhirResource): string {
  const { versionId } = metaOf(resource);
  if (versionId === undefined) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return versionId;
}

export function metaOf(resource: Json | undefined): { versionId: string | undefined; lastUpdated: string | undefined } {
  const meta = (resource as { meta?: { versionId?: Json; lastUpdated?: Json } } | null | undefined)?.meta;
  return { versionId: idText(meta?.versionId), lastUpdated: instant(meta?.lastUpdated) };
}
