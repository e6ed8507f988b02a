/** Subject scopes: which patient's key protects a resource. Minted with the Patient, found again in the Patient's own seal. */
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

/** What the same request writes. */
export interface Beside {
  /** Scopes of its Patients, by `urn:uuid:…` or `Patient/id`. */
  readonly minted: ReadonlyMap<string, string>;
  /** `urn:uuid:…` of its other entries: a reference to one of them is not to a patient. */
  readonly others: ReadonlySet<string>;
}

/**
 * The scope a resource is sealed under (one patient compartment: that patient; none or several: the tenant).
 * @throws KeywardError `FHIR_SUBJECT_UNKNOWN` when it names a Patient of ours that does not exist
 */
export async function scopeFor(
  resource: FhirResource,
  { minted, others }: Beside,
  subjects: SubjectScopes,
): Promise<string> {
  const patients = new Set(compartmentPatients(resource).filter((reference) => !others.has(reference)));
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
