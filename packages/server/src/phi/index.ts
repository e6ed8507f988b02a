/** What is PHI: the FHIR catalogue and the plans that seal and open one resource. Pure: no I/O, no keys. */
export { type Catalogue, createCatalogue, sealsByDefault } from './catalogue.ts';
export { compartmentParameters, compartmentPatients, isCompartmentType } from './compartment.ts';
export { readMapFile } from './json/map-file.ts';
export { planJsonOpen } from './json/open.ts';
export { readOpenApi } from './json/openapi.ts';
export { planJsonSeal } from './json/seal.ts';
export { holdsMark, writeText } from './json/text.ts';
export type {
  BodyRule,
  JsonAbsence,
  JsonApiMap,
  JsonInteraction,
  JsonObjectSpot,
  JsonOpenPlan,
  JsonOperation,
  JsonRoot,
  JsonSealPlan,
  JsonSite,
  QueryRule,
} from './json/types.ts';
export { proofText } from './manifest.ts';
export { assertNoReservedMarks, asSubsetted, INDEX_SYSTEM, isSubsetted } from './marks.ts';
export { holdsUnsealed, planOpen } from './open.ts';
export { firstLetters, LEAST_PREFIX_LETTERS, lettersOf, MOST_PREFIX_LETTERS, prefixClassOf } from './prefix.ts';
export { mapReferences } from './references.ts';
export { inspectElements, termsToShow, type VisibleKind, type VisibleTerm, visibleTerms } from './inspect.ts';
export { type Overrides, parseOverrides } from './overrides.ts';
export { handleThatReveals } from './reveal.ts';
export { type PlainPlan, planPlain } from './plain.ts';
export { planSeal } from './seal.ts';
export {
  isReferenceById,
  type SearchParameter,
  searchParameter,
  searchParameters,
  type SearchParameterType,
  searchTarget,
} from './search.ts';
export { searchedElements, searchedReferences, searchedTerms, searchedTexts } from './searched-values.ts';
export { isSelectable, type Selection, selectedPart } from './selection.ts';
export { isResourceType, RESOURCE_TYPES } from './structure.ts';
export {
  type Disclosure,
  FIELD_CLASS_OF_INDEX,
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
export { compileProfiles, type Profiles } from './validation/profiles/profiles.ts';
export { type TypeOfName, validateResource } from './validation/validate.ts';
export { describeViolations, MAX_VIOLATIONS, type Violation } from './validation/violations.ts';
