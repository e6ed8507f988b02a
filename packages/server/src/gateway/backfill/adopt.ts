/** A Patient that stood at the upstream before Keyward gets its scope, its key and its seal, where it stands. */
import { KeywardError, newUuid } from '../../core/index.ts';
import type { FhirResource } from '../../phi/index.ts';
import { auditEvent } from '../audit.ts';
import type { Exchange } from '../exchange.ts';
import { sealResources } from '../sealing.ts';
import { recordWritten, writeInPlace } from './in-place.ts';

/**
 * The scope that the Patient was given.
 * @throws KeywardError `FHIR_PRECONDITION` or `FHIR_CONFLICT` when somebody else wrote it meanwhile
 */
export async function adoptPatient(exchange: Exchange, patient: FhirResource): Promise<string> {
  const { audit } = exchange.gateway;
  const scope = newUuid();
  const resources = [`Patient/${patient.id ?? ''}`];
  await audit.record([auditEvent(exchange, 'write.intent', { resources, interaction: 'adopt' })]);
  const [sealed] = await sealResources(exchange, [{ resource: patient, scope }]);
  const [failure] = await writeInPlace(exchange, [sealed as FhirResource]);
  if (failure) throw new KeywardError(failure);
  const outcome = { resources, subjects: [scope], status: 200, interaction: 'adopt' };
  await recordWritten(exchange, auditEvent(exchange, 'write.outcome', outcome));
  return scope;
}
