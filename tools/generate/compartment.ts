/** The patient compartment table: for every type the search parameters whose references put a resource into it. */
import type { CompartmentDefinition } from '@medplum/fhirtypes';

export function compartmentTable(definition: CompartmentDefinition): Record<string, readonly string[]> {
  const members = (definition.resource ?? []).filter((resource) => resource.param !== undefined);
  return Object.fromEntries(members.map((resource) => [resource.code ?? '', resource.param ?? []]));
}
