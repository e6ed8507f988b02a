/** Compiles and applies profiles for tests, and puts what they said into one text. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../../core/index.ts';
import type { FhirResource } from '../../types.ts';
import { describeViolations } from '../violations.ts';
import { compileProfiles, type Profiles, type ProfileSource } from './profiles.ts';

export const CORE = 'http://hl7.org/fhir/StructureDefinition/';

export const profiles = (documents: readonly Json[], more: Partial<ProfileSource> = {}): Profiles =>
  compileProfiles([{ documents, appliesTo: 'declared', unchecked: [], ...more }]);

/** Without the url of the profile, which the tests know. */
export const told = (rules: Profiles, resource: FhirResource): string =>
  describeViolations(rules.check(resource, () => undefined)).replace(/ \([^ ]*\)\./g, '.');

export const refusal = (detail: RegExp) => (error: unknown) =>
  error instanceof KeywardError && error.code === 'FHIR_PROFILE_UNUSABLE' && detail.test(error.detail ?? '');
