/** Which of what came back is of the caller's patient alone, where the caller is limited to one patient. */
import { compartmentPatients, planOpen } from '../phi/index.ts';
import type { Exchange, Finding } from './exchange.ts';
import { TENANT_SCOPE } from './seal-context.ts';
import { scopeOfPatient } from './subjects.ts';

type ScopeOf = (patient: string) => Promise<string | undefined>;

/**
 * The findings; those are marked that were sealed under the patient's own key. What is of several patients is sealed under the key of none
 * of them, and what an upstream passes off as the patient's is sealed under the key of another.
 * @throws KeywardError `SEAL_NOT_AUTHENTIC` when the upstream's Patient does not prove its scope
 */
export async function withOwnMarked(exchange: Exchange): Promise<Finding[]> {
  // All are limited to the same patient: the one in the caller's context.
  let scope: Promise<string | undefined> | undefined;
  const scopeOf: ScopeOf = (patient) => (scope ??= scopeOfPatient(exchange, patient));
  const mark = async (finding: Finding): Promise<Finding> =>
    (await isOwn(exchange, finding, scopeOf)) ? { ...finding, own: true } : finding;
  return Promise.all(exchange.findings.map(mark));
}

async function isOwn({ gateway }: Exchange, { resource, decision }: Finding, scopeOf: ScopeOf): Promise<boolean> {
  const { patient } = decision;
  if (patient === undefined) return false;
  if (resource.resourceType === 'Patient') return resource.id === patient;
  const { root } = planOpen(resource, gateway.catalogue);
  if (root) return root.scope !== TENANT_SCOPE && root.scope === (await scopeOf(patient));
  // What stood at the upstream before Keyward has no key: only its references tell whose it is.
  const patients = compartmentPatients(resource);
  return patients.length === 1 && patients[0] === `Patient/${patient}`;
}
