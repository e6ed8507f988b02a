/** Writes records back where they stand: each under If-Match of the version that was read, so that nobody's change is lost. */
import type { Json } from '@keyward/sdk/seal';
import { asKeywardError, type AuditEvent, type ErrorCode, KeywardError } from '../../core/index.ts';
import type { FhirResource } from '../../phi/index.ts';
import { ask } from '../ask.ts';
import type { Exchange } from '../exchange.ts';
import { requiredVersion } from '../results.ts';

/** So many writes are under way at once. */
const WRITERS = 4;

/** By position: why a record was not written; undefined where it was. */
export async function writeInPlace(
  exchange: Exchange,
  records: readonly FhirResource[],
): Promise<(ErrorCode | undefined)[]> {
  const outcomes: (ErrorCode | undefined)[] = records.map(() => undefined);
  let next = 0;
  const writer = async () => {
    for (let index = next++; index < records.length; index = next++)
      outcomes[index] = await writeOne(exchange, records[index] as FhirResource);
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  return outcomes;
}

async function writeOne(exchange: Exchange, record: FhirResource): Promise<ErrorCode | undefined> {
  const { resourceType, id, meta, ...rest } = record;
  const { versionId: _version, lastUpdated: _server, ...kept } = (meta ?? {}) as { readonly [name: string]: Json };
  const body = { resourceType, id, ...(Object.keys(kept).length > 0 ? { meta: kept } : {}), ...rest };
  try {
    await ask(exchange, {
      method: 'PUT',
      path: `/${resourceType}/${id ?? ''}`,
      headers: {
        'content-type': 'application/fhir+json',
        prefer: 'return=minimal',
        'if-match': `W/"${requiredVersion(record)}"`,
      },
      body: JSON.stringify(body),
    });
    return undefined;
  } catch (error) {
    return asKeywardError(error).code;
  }
}

/** @throws KeywardError `GATEWAY_OUTCOME_UNKNOWN`: the upstream has it, so nobody must be told that nothing happened. */
export async function recordWritten({ gateway }: Exchange, outcome: AuditEvent): Promise<void> {
  try {
    await gateway.audit.record([outcome]);
  } catch (cause) {
    throw new KeywardError('GATEWAY_OUTCOME_UNKNOWN', { cause });
  }
}
