/** The rules that come with Keyward: one table, datatypes first, paths where they differ, and the contexts that change them. */
import { FIELD_CLASS_OF_INDEX, type FieldClass, type IndexClass } from './types.ts';

/** How a value is kept upstream; what each of them writes and reads is in treatments.ts. */
export type Treatment =
  /** the token takes the place of the text */
  | 'seal'
  /** the blind index takes the place of the text, the token goes into an extension of it */
  | 'index'
  /** the year stays, the token goes into an extension */
  | 'year'
  /** the value goes, the token goes into an extension: for types in which a token is not legal */
  | 'omit'
  /** base64 of the token takes the place of the data */
  | 'base64'
  /** a minimal XHTML element holds the token */
  | 'narrative';

export interface Rule {
  readonly treatment: Treatment;
  readonly fieldClass: FieldClass;
  readonly indexClass?: IndexClass;
  /** The line of the overrides file it comes from; absent for a rule of Keyward's own. */
  readonly override?: string;
}

export const seal = (fieldClass: FieldClass): Rule => ({ treatment: 'seal', fieldClass });
const index = (indexClass: IndexClass): Rule => ({
  treatment: 'index',
  fieldClass: FIELD_CLASS_OF_INDEX[indexClass],
  indexClass,
});
export const year = (fieldClass: FieldClass): Rule => ({ treatment: 'year', fieldClass });
export const omit = (fieldClass: FieldClass): Rule => ({ treatment: 'omit', fieldClass });
export const base64 = (fieldClass: FieldClass): Rule => ({ treatment: 'base64', fieldClass });

/** Keys are `type.element`; a backbone type is its path. What is not here follows its datatype (`defaultRule`). */
export const RULES: Readonly<Record<string, Rule>> = {
  // datatypes
  'HumanName.family': index('family'),
  'HumanName.given': index('given'),
  'HumanName.text': seal('name'),
  'HumanName.prefix': seal('name'),
  'HumanName.suffix': seal('name'),
  'Identifier.value': index('identifier'),
  'Address.city': index('city'),
  'Address.postalCode': index('postalCode'),
  'Address.line': seal('address'),
  'Address.text': seal('address'),
  'Address.district': seal('address'),
  'ContactPoint.value': seal('contact'),
  'ContactDetail.name': seal('name'),
  'Contributor.name': seal('name'),
  'Annotation.authorString': seal('name'),
  'Reference.display': seal('name'),
  'CodeableConcept.text': seal('label'),
  'Attachment.url': omit('media'),
  'Narrative.div': { treatment: 'narrative', fieldClass: 'narrative' },

  // birth and death
  'Patient.birthDate': year('birthDate'),
  'Patient.deceasedDateTime': year('birthDate'),
  'Person.birthDate': year('birthDate'),
  'RelatedPerson.birthDate': year('birthDate'),
  'Practitioner.birthDate': year('birthDate'),
  'FamilyMemberHistory.bornDate': year('birthDate'),
  'FamilyMemberHistory.bornString': seal('birthDate'),
  'FamilyMemberHistory.deceasedDate': year('birthDate'),
  'FamilyMemberHistory.deceasedString': seal('birthDate'),

  // identifiers and names that are plain strings
  'Coverage.subscriberId': index('identifier'),
  'Coverage.dependent': seal('identifier'),
  'Coverage.class.value': seal('identifier'),
  'Claim.insurance.preAuthRef': seal('identifier'),
  'ClaimResponse.preAuthRef': seal('identifier'),
  'CoverageEligibilityResponse.preAuthRef': seal('identifier'),
  'ExplanationOfBenefit.preAuthRef': seal('identifier'),
  'ExplanationOfBenefit.insurance.preAuthRef': seal('identifier'),
  'Device.serialNumber': seal('identifier'),
  'Device.distinctIdentifier': seal('identifier'),
  'Device.udiCarrier.deviceIdentifier': seal('identifier'),
  'Device.udiCarrier.carrierHRF': seal('identifier'),
  'Device.udiCarrier.carrierAIDC': base64('identifier'),
  'FamilyMemberHistory.name': seal('name'),
  'AuditEvent.agent.name': seal('name'),
  'AuditEvent.agent.altId': seal('identifier'),
  'AuditEvent.agent.network.address': seal('contact'),
  'AuditEvent.entity.query': base64('freeText'),

  // headings
  'Composition.title': seal('label'),
  'Composition.section.title': seal('label'),
  'QuestionnaireResponse.item.text': seal('label'),

  // an answer may be anything that was asked, a birth date or a number on a card among it
  'QuestionnaireResponse.item.answer.valueDate': year('freeText'),
  'QuestionnaireResponse.item.answer.valueDateTime': year('freeText'),
  'QuestionnaireResponse.item.answer.valueTime': omit('freeText'),
  'QuestionnaireResponse.item.answer.valueInteger': omit('freeText'),
  'QuestionnaireResponse.item.answer.valueDecimal': omit('freeText'),
  'QuestionnaireResponse.item.answer.valueUri': omit('freeText'),

  // queries hold the values they ask for
  'Bundle.link.url': omit('freeText'),
  'Bundle.entry.request.url': omit('freeText'),
};

/** Telecom by its `system`; the others (fax, pager, url …) have no index and are sealed in place. */
export const CONTACT_RULES: Readonly<Record<string, Rule>> = {
  phone: index('phone'),
  email: index('email'),
};

/** What entering an element changes for its parts. */
export interface ContextChange {
  /** Class of texts and binaries that no rule names, extensions above all. */
  readonly fieldClass: FieldClass;
  /** Dates are those of a person's life: only their year stays. */
  readonly datesAreBirth?: true;
  /** Nothing stays clear, whatever its type. */
  readonly everything?: true;
}

/** By datatype entered, or by `type.element`. */
export const CONTEXTS: Readonly<Record<string, ContextChange>> = {
  HumanName: { fieldClass: 'name' },
  Identifier: { fieldClass: 'identifier' },
  ContactPoint: { fieldClass: 'contact' },
  Address: { fieldClass: 'address' },
  'Patient.birthDate': { fieldClass: 'birthDate', datesAreBirth: true },
  'Person.birthDate': { fieldClass: 'birthDate', datesAreBirth: true },
  'RelatedPerson.birthDate': { fieldClass: 'birthDate', datesAreBirth: true },
  'Patient.deceasedDateTime': { fieldClass: 'birthDate', datesAreBirth: true },
  'FamilyMemberHistory.bornPeriod': { fieldClass: 'birthDate', datesAreBirth: true },
};

/** By url of the extension entered. */
export const EXTENSION_CONTEXTS: ReadonlyMap<string, ContextChange> = new Map<string, ContextChange>([
  ['http://hl7.org/fhir/StructureDefinition/patient-birthTime', { fieldClass: 'birthDate', datesAreBirth: true }],
  ['http://hl7.org/fhir/StructureDefinition/geolocation', { fieldClass: 'address', everything: true }],
]);

/** Resources in which a date in an extension may be a birth date under another name. */
export const PERSON_TYPES: ReadonlySet<string> = new Set(['Patient', 'Person', 'RelatedPerson']);
