/** Subject scopes: which patient's key protects a resource. Minted with the Patient, found again in the Patient's own seal. */
import { newUuid } from '../core/index.ts';
import { KeywardError } from '../core/index.ts';
import { compartmentPatients, type FhirResource, planOpen } from '../phi/index.ts';
import type { Upstream } from './upstream.ts';

/** Scope of what belongs to no patient, or to several. */
export const TENANT_SCOPE = 'tenant';

/** A deleted and re-created Patient gets a new scope; another gateway notices within this time. */
const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 50_000;

export interface SubjectScopes {
  /** Scope of an existing Patient, undefined when there is none. */
  scopeOf(patientId: string): Promise<string | undefined>;
  remember(patientId: string, scope: string): void;
  forget(patientId: string): void;
}

export function createSubjectScopes(upstream: Upstream, now: () => number = Date.now): SubjectScopes {
  const cache = new Map<string, { scope: string; until: number }>();
  const remember = (patientId: string, scope: string) => {
    if (cache.size >= MAX_REMEMBERED) cache.delete(cache.keys().next().value as string);
    cache.set(patientId, { scope, until: now() + REMEMBERED_MS });
  };
  return {
    async scopeOf(patientId) {
      const hit = cache.get(patientId);
      if (hit && hit.until > now()) return hit.scope;
      const patient = await readPatient(upstream, patientId);
      const scope = patient && (planOpen(patient).root?.scope ?? TENANT_SCOPE);
      if (scope) remember(patientId, scope);
      return scope;
    },
    remember,
    forget: (patientId) => void cache.delete(patientId),
  };
}

async function readPatient(upstream: Upstream, id: string): Promise<FhirResource | undefined> {
  try {
    return (await upstream.request({ method: 'GET', path: `/Patient/${id}` })).body as FhirResource | undefined;
  } catch (error) {
    if (error instanceof KeywardError && (error.code === 'FHIR_NOT_FOUND' || error.code === 'FHIR_GONE'))
      return undefined;
    throw error;
  }
}

/**
 * The scope a resource is sealed under (one patient compartment: that patient; none or several: the tenant).
 *
 * @param minted scopes of Patients written by the same request, by `urn:uuid:…` and by `Patient/id`
 * @throws KeywardError `FHIR_SUBJECT_UNKNOWN` when it names a Patient of ours that does not exist
 */
export async function scopeFor(
  resource: FhirResource,
  minted: ReadonlyMap<string, string>,
  subjects: SubjectScopes,
): Promise<string> {
  if (resource.resourceType === 'Patient') return minted.get(`Patient/${resource.id ?? ''}`) ?? newUuid();
  const patients = new Set(compartmentPatients(resource));
  const [only] = patients;
  if (patients.size !== 1 || only === undefined) return TENANT_SCOPE;
  const known = minted.get(only);
  if (known) return known;
  const id = /^Patient\/([A-Za-z0-9.-]{1,64})$/.exec(only)?.[1];
  if (id === undefined) {
    if (only.startsWith('urn:')) throw new KeywardError('FHIR_SUBJECT_UNKNOWN');
    return TENANT_SCOPE;
  }
  const scope = await subjects.scopeOf(id);
  if (!scope) throw new KeywardError('FHIR_SUBJECT_UNKNOWN');
  return scope;
}
