/** What the upstream said became of each write. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { type Exchange, known, type WriteOperation } from './exchange.ts';
import { ID } from './routes.ts';
import { type AnswerEntry, asBundle, asResource } from './steps/reauthorise.ts';

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
  const { operations } = exchange;
  const answer = known(exchange.answer, 'answer');
  if (exchange.route.name !== 'bundle') return [singleResult(exchange, answer.status, answer.body)];
  const entries = asBundle(answer.body).entry ?? [];
  if (entries.length !== operations.length) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return entries.map((entry, index) => entryResult(operations[index] as WriteOperation, entry));
}

const LOCATION = new RegExp(`(?:^|/)([A-Z][A-Za-z]*)/(${ID})(?:/_history/(${ID}))?$`);

function entryResult({ type, id, interaction }: WriteOperation, { response, resource }: AnswerEntry): WriteResult {
  const status = /^2\d\d(?= |$)/.exec(response?.status ?? '')?.[0];
  if (status === undefined) throw new KeywardError('FHIR_UPSTREAM_REFUSED');
  const [, locatedType = type, locatedId = id, locatedVersion] = LOCATION.exec(response?.location ?? '') ?? [];
  if (locatedType !== type || locatedId === '') throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const meta = metaOf(resource as Json | undefined);
  const version = locatedVersion ?? etagVersion(response?.etag) ?? meta.versionId ?? '';
  const lastModified = meta.lastUpdated ?? instant(response?.lastModified);
  return { type, id: locatedId, version: interaction === 'delete' ? '' : version, lastModified, status };
}

function singleResult({ operations }: Exchange, status: number, body: Json | undefined): WriteResult {
  const { type, id, interaction } = known(operations[0], 'operation');
  if (interaction === 'delete') return { type, id, version: '', lastModified: undefined, status: String(status) };
  const resource = asResource(body);
  const { versionId, lastUpdated } = metaOf(resource);
  const assigned = idText(resource.id);
  if (resource.resourceType !== type || !assigned || (id !== '' && assigned !== id))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return { type, id: assigned, version: versionId ?? '', lastModified: lastUpdated, status: String(status) };
}

const ID_TEXT = new RegExp(`^${ID}$`);
const idText = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && ID_TEXT.test(value) ? value : undefined;
/** FHIR R4 instant, by its characters. */
const instant = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && /^[-0-9T:.Z+]{20,40}$/.test(value) ? value : undefined;
const etagVersion = (etag: string | undefined): string | undefined => idText(/^W\/"(.*)"$/.exec(etag ?? '')?.[1]);

function metaOf(resource: Json | undefined): { versionId: string | undefined; lastUpdated: string | undefined } {
  const meta = (resource as { meta?: { versionId?: Json; lastUpdated?: Json } } | null | undefined)?.meta;
  return { versionId: idText(meta?.versionId), lastUpdated: instant(meta?.lastUpdated) };
}
