/** What is PHI: the FHIR catalogue and the plans that seal and open one resource. Pure: no I/O, no keys. */
export { sealsByDefault } from './catalogue.ts';
export { compartmentPatients } from './compartment.ts';
export { assertNoReservedMarks, isSubsetted } from './marks.ts';
export { holdsUnsealed, planOpen } from './open.ts';
export { mapReferences } from './references.ts';
export { idRevealsIdentifier } from './reveal.ts';
export { planSeal } from './seal.ts';
export {
  type SearchParameter,
  searchParameters,
  searchParameterType,
  type SearchParameterType,
  searchTarget,
} from './search.ts';
export { isResourceType, RESOURCE_TYPES } from './structure.ts';
export {
  type Disclosure,
  FIELD_CLASSES,
  type FhirResource,
  type FieldClass,
  type IndexClass,
  type IndexTerm,
  type OpenPlan,
  type OpenSite,
  type RootSeal,
  type SealPlan,
  type SealSite,
  type SearchTarget,
} from './types.ts';
