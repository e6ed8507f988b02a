/** What the upstream said became of each write. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import { type Exchange, known } from './exchange.ts';
import { asBundle, asResource } from './steps/reauthorise.ts';

export interface WriteResult {
  readonly type: string;
  readonly id: string;
  /** '' for a delete. */
  readonly version: string;
  readonly lastModified: string | undefined;
  /** e.g. `201 Created`. */
  readonly status: string;
}

/** By position of the operation. @throws KeywardError `GATEWAY_UPSTREAM_INVALID`. */
export function writeResults(exchange: Exchange): WriteResult[] {
  const { operations } = exchange;
  const answer = known(exchange.answer, 'answer');
  if (exchange.route.name !== 'bundle') return [singleResult(exchange, answer.status, answer.body)];
  const entries = asBundle(answer.body).entry ?? [];
  if (entries.length !== operations.length) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return entries.map(({ response, resource }, index) => {
    const { type, id, interaction } = operations[index] as (typeof operations)[number];
    const status = stringOr(response?.['status'], '');
    if (!status.startsWith('2')) throw new KeywardError('FHIR_UPSTREAM_REFUSED');
    const located = /(?:^|\/)([A-Z][A-Za-z]*)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/([A-Za-z0-9.-]{1,64}))?$/.exec(
      stringOr(response?.['location'], ''),
    );
    const meta = metaOf(resource);
    const assigned = located?.[2] ?? id;
    if (assigned === '' || (located && located[1] !== type)) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
    const version = located?.[3] ?? etagVersion(response?.['etag']) ?? meta.versionId ?? '';
    return {
      type,
      id: assigned,
      version: interaction === 'delete' ? '' : version,
      lastModified: meta.lastUpdated ?? optional(response?.['lastModified']),
      status,
    };
  });
}

function singleResult({ operations }: Exchange, status: number, body: Json | undefined): WriteResult {
  const { type, id, interaction } = known(operations[0], 'operation');
  if (interaction === 'delete') return { type, id, version: '', lastModified: undefined, status: String(status) };
  const resource = asResource(body);
  const { versionId, lastUpdated } = metaOf(resource);
  const assigned = resource.id;
  if (resource.resourceType !== type || !assigned || (id !== '' && assigned !== id))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return { type, id: assigned, version: versionId ?? '', lastModified: lastUpdated, status: String(status) };
}

const optional = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);
const stringOr = (value: Json | undefined, otherwise: string): string => optional(value) ?? otherwise;
const etagVersion = (etag: Json | undefined): string | undefined =>
  /^W\/"([A-Za-z0-9.-]{1,64})"$/.exec(stringOr(etag, ''))?.[1];

function metaOf(resource: Json | undefined): { versionId: string | undefined; lastUpdated: string | undefined } {
  const meta = (resource as { meta?: { versionId?: Json; lastUpdated?: Json } } | null | undefined)?.meta;
  return { versionId: optional(meta?.versionId), lastUpdated: optional(meta?.lastUpdated) };
}
