/** Subject scopes: which patient's key protects a resource. Minted with the Patient, found again in the Patient's own seal. */
import { tokenKeyId } from '@keyward/sdk/seal';
import { asKeywardError, KeywardError, newUuid } from '../core/index.ts';
import { compartmentPatients, type FhirResource, type OpenSite, planOpen, type RootSeal } from '../phi/index.ts';
import { type Exchange, known } from './exchange.ts';
import { ID } from './routes.ts';
import { contextOf, keyUse, PROOF_SITE, TENANT_SCOPE } from './seal-context.ts';

/** A deleted and re-created Patient gets a new scope; another gateway notices within this time. */
const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 50_000;

/** Scopes of Patients by logical id, for a while. */
export interface SubjectScopes {
  recall(patientId: string): string | undefined;
  remember(patientId: string, scope: string): void;
  forget(patientId: string): void;
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
  };
}

/** A Patient that stands at the upstream and was never sealed: it has no scope yet. */
const UNSEALED = 'unsealed';

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
  const { root, sites } = planOpen(patient);
  if (!root) return UNSEALED;
  await requireProof(exchange, root, sites);
  subjects.remember(patientId, root.scope);
  return root.scope;
}

/** The scope to write an existing or new Patient under: its own, or a new one. */
export async function scopeToWrite(exchange: Exchange, patientId: string): Promise<string> {
  const scope = patientId === '' ? undefined : await scopeOfPatient(exchange, patientId);
  return scope === undefined || scope === UNSEALED ? newUuid() : scope;
}

async function readPatient({ gateway, correlationId }: Exchange, id: string): Promise<FhirResource | undefined> {
  try {
    const headers = { 'x-correlation-id': correlationId };
    const patient = (await gateway.upstream.request({ method: 'GET', path: `/Patient/${id}`, headers })).body as
      | FhirResource
      | undefined;
    if (patient?.resourceType === 'Patient' && patient.id === id) return patient;
  } catch (error) {
    if (error instanceof KeywardError && (error.code === 'FHIR_NOT_FOUND' || error.code === 'FHIR_GONE'))
      return undefined;
    throw error;
  }
  throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
}

/** The proof and every field must open under the root beside them: a root taken from another record brings no fields along. */
async function requireProof(exchange: Exchange, root: RootSeal, sites: readonly OpenSite[]): Promise<void> {
  const { keys, engine, tenant } = exchange.gateway;
  const { proof, policy } = root;
  try {
    const tokens = [{ ...PROOF_SITE, token: known(proof, 'proof') }, ...sites];
    const ids = tokens.map(({ token }) => tokenKeyId(token));
    const opened = await keys.process(ids, keyUse(exchange));
    const items = tokens.map((site, index) => ({
      key: known(opened[index], 'key'),
      context: contextOf(tenant, 'Patient', root, site),
      token: site.token,
    }));
    if (engine.openMany(items)[0] === policy) return;
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
  if (scope === UNSEALED) throw new KeywardError('GATEWAY_UPSTREAM_UNSEALED');
  return scope;
}
