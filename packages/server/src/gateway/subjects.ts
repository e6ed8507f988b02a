/** Subject scopes: which patient's key protects a resource. Minted with the Patient, found again in the Patient's own seal. */
import { asKeywardError, KeywardError, newUuid } from '../core/index.ts';
import {
  compartmentPatients,
  type FhirResource,
  type OpenSite,
  planOpen,
  proofText,
  type RootSeal,
} from '../phi/index.ts';
import { ask } from './ask.ts';
import { adoptPatient } from './backfill/adopt.ts';
import { type Exchange, known } from './exchange.ts';
import { keysToOpen } from './key-calls.ts';
import { ID } from './routes.ts';
import { contextOf, proofSite, TENANT_SCOPE } from './seal-context.ts';
import { keyIdOf } from './sealing.ts';

/** A deleted and re-created Patient gets a new scope; another gateway notices within this time. */
const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 50_000;

/** Scopes of Patients by logical id, for a while. */
export interface SubjectScopes {
  recall(patientId: string): string | undefined;
  remember(patientId: string, scope: string): void;
  forget(patientId: string): void;
  /** The keys of this scope changed: what is remembered of it is looked up anew. */
  forgetScope(scope: string): void;
  forgetAll(): void;
}

export function createSubjectScopes(now: () => number = Date.now): SubjectScopes {
  const cache = new Map<string, { scope: string; until: number }>();
  return {
    recall(patientId) {
      const hit = cache.get(patientId);
      return hit && hit.until > now() ? hit.scope : undefined;
    },
    remember(patientId, scope) {
      if (cache.size >= MAX_REMEMBERED) cache.delete(cache.keys().next().value as string);
      cache.set(patientId, { scope, until: now() + REMEMBERED_MS });
    },
    forget: (patientId) => void cache.delete(patientId),
    forgetScope(scope) {
      for (const [patientId, hit] of cache) if (hit.scope === scope) cache.delete(patientId);
    },
    forgetAll: () => cache.clear(),
  };
}

/** A Patient that stands at the upstream and was never sealed: it has no scope yet. */
export const UNSEALED = 'unsealed';

/**
 * Scope of an existing Patient, or `UNSEALED`; undefined when there is none.
 * @throws KeywardError `SEAL_NOT_AUTHENTIC` when the upstream's copy does not prove its scope: it could choose the key otherwise.
 */
export async function scopeOfPatient(exchange: Exchange, patientId: string): Promise<string | undefined> {
  const { subjects } = exchange.gateway;
  const recalled = subjects.recall(patientId);
  if (recalled !== undefined) return recalled;
  const patient = await readPatient(exchange, patientId);
  if (!patient) return undefined;
  const { root, sites } = planOpen(patient, exchange.gateway.catalogue);
  if (!root) return UNSEALED;
  await requireProof(exchange, root, sites);
  subjects.remember(patientId, root.scope);
  return root.scope;
}

/** Of several writers of one new Patient the first mints its scope; the others wait for it, and find that one. */
export async function borrowUnscoped({ gateway, loans }: Exchange, patientIds: readonly string[]): Promise<void> {
  const unscoped = patientIds.filter((id) => id !== '' && gateway.subjects.recall(id) === undefined);
  await loans.borrow(unscoped.map((id) => `Patient/${id}`));
}

/** The scope to write an existing or new Patient under: its own, or a new one. */
export async function scopeToWrite(exchange: Exchange, patientId: string): Promise<string> {
  const scope = patientId === '' ? undefined : await scopeOfPatient(exchange, patientId);
  return scope === undefined || scope === UNSEALED ? newUuid() : scope;
}

async function readPatient(exchange: Exchange, id: string): Promise<FhirResource | undefined> {
  try {
    const { body } = await ask(exchange, { method: 'GET', path: `/Patient/${id}` });
    const patient = body as FhirResource | undefined;
    if (patient?.resourceType === 'Patient' && patient.id === id) return patient;
  } catch (error) {
    if (error instanceof KeywardError && (error.code === 'FHIR_NOT_FOUND' || error.code === 'FHIR_GONE'))
      return undefined;
    throw error;
  }
  throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
}

/** The proof must open under the root beside it and speak of the tokens that stand there: a root taken from another record does not. */
async function requireProof(exchange: Exchange, root: RootSeal, sites: readonly OpenSite[]): Promise<void> {
  const { engine, tenant } = exchange.gateway;
  const { proof, scope } = root;
  try {
    const keyId = keyIdOf(proof);
    const key = (await keysToOpen(exchange, [{ keyId, scope }])).get(keyId);
    const context = contextOf(tenant, 'Patient', root, proofSite('Patient'));
    const [says] = engine.openMany([{ key: known(key, 'key'), context, token: proof }]);
    if (says === proofText(root, sites)) return;
  } catch (cause) {
    if (asKeywardError(cause).row.retry) throw cause;
    throw new KeywardError('SEAL_NOT_AUTHENTIC', { cause });
  }
  throw new KeywardError('SEAL_NOT_AUTHENTIC');
}

/** What the same request writes. */
export interface Beside {
  /** Scopes of its Patients, by `urn:uuid:…` or `Patient/id`. */
  readonly minted: ReadonlyMap<string, string>;
  /** `urn:uuid:…` of its other entries: a reference to one of them is not to a patient. */
  readonly others: ReadonlySet<string>;
}

const PATIENT_REFERENCE = new RegExp(`^Patient/(${ID})$`);

/**
 * The scope a resource is sealed under (one patient compartment: that patient; none or several: the tenant).
 * @throws KeywardError `FHIR_SUBJECT_UNKNOWN` when it names a Patient of ours that does not exist
 */
export async function scopeFor(
  exchange: Exchange,
  resource: FhirResource,
  { minted, others }: Beside,
): Promise<string> {
  const patients = new Set(compartmentPatients(resource).filter((reference) => !others.has(reference)));
  const [only] = patients;
  if (patients.size !== 1 || only === undefined) return TENANT_SCOPE;
  const written = minted.get(only);
  if (written) return written;
  const id = PATIENT_REFERENCE.exec(only)?.[1];
  // An absolute reference is to a patient of another server.
  if (id === undefined && /^https?:/.test(only)) return TENANT_SCOPE;
  const scope = id === undefined ? undefined : await scopeOfPatient(exchange, id);
  if (scope === undefined) throw new KeywardError('FHIR_SUBJECT_UNKNOWN');
  return scope === UNSEALED ? adopted(exchange, id as string) : scope;
}

/** While existing data is being sealed, the first record that is written for a patient has the Patient sealed. */
async function adopted(exchange: Exchange, patientId: string): Promise<string> {
  const { existingData, subjects } = exchange.gateway;
  const patient = existingData === 'backfill' ? await readPatient(exchange, patientId) : undefined;
  if (!patient) throw new KeywardError('GATEWAY_UPSTREAM_UNSEALED');
  const scope = await adoptPatient(exchange, patient);
  subjects.remember(patientId, scope);
  return scope;
}
