/** What a condition makes of a write: a create, an update, a delete by id, or nothing to send (FHIR R4 §3.1.0.8.1, §3.1.0.4.3, §3.1.0.7.1). */
import { KeywardError } from '../core/index.ts';
import type { FhirResource } from '../phi/index.ts';
import type { WriteOperation } from './exchange.ts';
import type { Question } from './matches.ts';
import { metaOf, requiredVersion } from './results.ts';

/**
 * @param existing the one resource that fulfils the condition, still sealed
 * @throws KeywardError `FHIR_PRECONDITION` | `FHIR_RESOURCE_INVALID` | `GATEWAY_UPSTREAM_INVALID`
 */
export function settle(
  operation: WriteOperation,
  question: Question,
  existing: FhirResource | undefined,
): WriteOperation {
  const { condition: _resolved, ...rest } = operation;
  return existing === undefined ? settleAbsent(rest, question) : SETTLE_PRESENT[rest.interaction](rest, existing);
}

function settleAbsent(operation: WriteOperation, { condition, query, key }: Question): WriteOperation {
  const { interaction, type, resource } = operation;
  // Nobody has the version that If-Match names.
  if (operation.ifMatch !== undefined) throw new KeywardError('FHIR_PRECONDITION');
  if (interaction === 'delete')
    return { ...operation, settled: { result: { ...UNWRITTEN, type, id: '', status: '204' }, existing: undefined } };
  const id = interaction === 'update' ? (resource?.id ?? '') : '';
  if (id !== '') return { ...operation, id, unmatched: key };
  // The upstream would take the coarser question for the condition.
  const guard = condition.exact ? { guard: query } : {};
  return { ...operation, interaction: 'create', unmatched: key, ...guard };
}

const UNWRITTEN = { version: '', lastModified: undefined };

const SETTLE_PRESENT: Readonly<
  Record<WriteOperation['interaction'], (operation: WriteOperation, existing: FhirResource) => WriteOperation>
> = {
  create(operation, existing) {
    const { type } = operation;
    const id = existing.id ?? '';
    const { versionId = '', lastUpdated } = metaOf(existing);
    const result = { type, id, version: versionId, lastModified: lastUpdated, status: '200' };
    return { ...operation, id, settled: { result, existing } };
  },
  update(operation, existing) {
    const inBody = operation.resource?.id;
    if (inBody !== undefined && inBody !== existing.id)
      throw new KeywardError('FHIR_RESOURCE_INVALID', { detail: 'The id in the body is not that of the match.' });
    return byId(operation, existing);
  },
  delete: byId,
};

/** The version that was found must still be the current one when the write arrives. @throws KeywardError also `GATEWAY_UPSTREAM_INVALID` */
function byId(operation: WriteOperation, existing: FhirResource): WriteOperation {
  const found = `W/"${requiredVersion(existing)}"`;
  if (operation.ifMatch !== undefined && operation.ifMatch !== found) throw new KeywardError('FHIR_PRECONDITION');
  return { ...operation, id: existing.id ?? '', ifMatch: found };
}
