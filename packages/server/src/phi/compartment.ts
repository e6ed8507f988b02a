/** Whose record a resource belongs to: the references that put it into patient compartments (https://hl7.org/fhir/R4/compartmentdefinition-patient.html). */
import type { Json } from '@keyward/sdk/seal';
import { type Trail, trailsOf, valuesAt } from './expression.ts';
import table from './generated/patient-compartment.json' with { type: 'json' };
import { isObject } from './marks.ts';
import { searchParameters } from './search.ts';
import type { FhirResource } from './types.ts';

const PARAMETERS: ReadonlyMap<string, readonly string[]> = new Map(Object.entries(table));
const trails = new Map<string, readonly Trail[]>();

/**
 * References as written, without a version (`Patient/123`, absolute, `urn:uuid:…`), each once. A `urn:` reference may turn out to name another type: whoever
 * resolves it knows. A Patient is in its own compartment by its id, which is not a reference.
 */
export function compartmentPatients(resource: FhirResource): string[] {
  if (resource.resourceType === 'Patient') return [];
  // Not in the table of R4, but whose access rules are the patient's (https://hl7.org/fhir/R4/binary.html#security-context).
  if (resource.resourceType === 'Binary')
    return [resource['securityContext']].filter(isObject).flatMap(patientReference);
  const found = trailsFor(resource.resourceType).flatMap((trail) => valuesAt(resource, trail));
  return [...new Set(found.filter(isObject).flatMap(patientReference))];
}

/** Codes of the search parameters that put resources of a type into a patient's compartment; of a Patient, those that link another one. */
export const compartmentParameters = (type: string): readonly string[] => PARAMETERS.get(type) ?? [];

/** Whether resources of this type can be in a patient's compartment at all. */
export const isCompartmentType = (type: string): boolean => PARAMETERS.has(type);

function trailsFor(resourceType: string): readonly Trail[] {
  const known = trails.get(resourceType);
  if (known) return known;
  const codes = PARAMETERS.get(resourceType) ?? [];
  const wanted = searchParameters(resourceType).filter(({ code }) => codes.includes(code));
  const read = wanted
    .flatMap(({ expression }) => trailsOf(expression))
    .filter((trail) => trail.at(-1)?.element.type === 'Reference');
  trails.set(resourceType, read);
  return read;
}

/** `Reference.type` is not asked: a wrong one must not take a resource out of a patient's record. */
function patientReference({ reference }: { readonly [name: string]: Json }): string[] {
  if (typeof reference !== 'string' || reference.startsWith('#')) return [];
  if (reference.startsWith('urn:')) return [reference];
  const current = reference.split('/_history/')[0] ?? '';
  const parts = current.split('?')[0]?.split('/') ?? [];
  const type = reference.includes('?') ? parts.at(-1) : parts.at(-2);
  return type === 'Patient' ? [current] : [];
}
