/** `$keyward-scope`: under which scope a patient is sealed, for whoever manages keys. Nothing of the record is opened or shown. */
import { KeywardError } from '../../core/index.ts';
import { auditEvent } from '../audit.ts';
import type { Exchange } from '../exchange.ts';
import { scopeOfPatient, UNSEALED } from '../subjects.ts';

/** Proved by the Patient's own seal: an upstream that passes off another's would have the wrong patient's keys destroyed. */
export async function replyScope(exchange: Exchange): Promise<void> {
  const { gateway, route } = exchange;
  const scope = await scopeOfPatient(exchange, route.id);
  if (scope === undefined || scope === UNSEALED) throw new KeywardError('FHIR_NOT_FOUND');
  const told = { resources: [`Patient/${route.id}`], subjects: [scope], status: 200 };
  await gateway.audit.record([auditEvent(exchange, 'disclosure', told)]);
  const parameter = [{ name: 'scope', valueUuid: `urn:uuid:${scope}` }];
  exchange.reply = { status: 200, headers: {}, body: { resourceType: 'Parameters', parameter } };
}
