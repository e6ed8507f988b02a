/** What happens to each element of a resource, if no policy says otherwise: one table, datatypes first, paths where they differ. */
import { CLEAR_ELEMENTS, CLEAR_TYPES } from './clear.ts';
import type { Json } from '@keyward/sdk/seal';
import type { JsonObject } from './marks.ts';
import type { Element } from './structure.ts';
import type { FieldClass, IndexClass } from './types.ts';

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
}

const seal = (fieldClass: FieldClass): Rule => ({ treatment: 'seal', fieldClass });
const index = (indexClass: IndexClass, fieldClass: FieldClass): Rule => ({
  treatment: 'index',
  fieldClass,
  indexClass,
});
const year = (fieldClass: FieldClass): Rule => ({ treatment: 'year', fieldClass });
const omit = (fieldClass: FieldClass): Rule => ({ treatment: 'omit', fieldClass });
const base64 = (fieldClass: FieldClass): Rule => ({ treatment: 'base64', fieldClass });

/** Keys are `type.element`; a backbone type is its path. What is not here follows its datatype (`defaultRule`). */
export const RULES: Readonly<Record<string, Rule>> = {
  // datatypes
  'HumanName.family': index('family', 'name'),
  'HumanName.given': index('given', 'name'),
  'HumanName.text': seal('name'),
  'HumanName.prefix': seal('name'),
  'HumanName.suffix': seal('name'),
  'Identifier.value': index('identifier', 'identifier'),
  'Address.city': index('city', 'address'),
  'Address.postalCode': index('postalCode', 'address'),
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
  'Coverage.subscriberId': index('identifier', 'identifier'),
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
const CONTACT_RULES: Readonly<Record<string, Rule>> = {
  phone: index('phone', 'contact'),
  email: index('email', 'contact'),
};

/** Where an element stands changes what its parts may tell. */
export interface Context {
  readonly sealed: boolean;
  /** Class of texts and binaries that no rule names, extensions above all. */
  readonly fieldClass: FieldClass;
  /** Dates are those of a person's life: only their year stays. */
  readonly datesAreBirth: boolean;
  /** Nothing stays clear, whatever its type. */
  readonly everything: boolean;
  /** The resource is a person: a date in an extension may be a birth date under another name. */
  readonly person: boolean;
}

type Change = Partial<Pick<Context, 'fieldClass' | 'datesAreBirth' | 'everything'>>;

/** By datatype entered, or by `type.element`. */
export const CONTEXTS: Readonly<Record<string, Change>> = {
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
const EXTENSION_CONTEXTS: ReadonlyMap<string, Change> = new Map<string, Change>([
  ['http://hl7.org/fhir/StructureDefinition/patient-birthTime', { fieldClass: 'birthDate', datesAreBirth: true }],
  ['http://hl7.org/fhir/StructureDefinition/geolocation', { fieldClass: 'address', everything: true }],
]);

const PERSON_TYPES: ReadonlySet<string> = new Set(['Patient', 'Person', 'RelatedPerson']);

/** Context of a resource: inside a sealed one everything is sealed, whatever its own type. */
export function contextOfResource(outer: Context | undefined, resourceType: string): Context {
  const sealed = (outer?.sealed ?? false) || sealsByDefault(resourceType);
  return {
    sealed,
    fieldClass: 'freeText',
    datesAreBirth: false,
    everything: false,
    person: PERSON_TYPES.has(resourceType),
  };
}

/** Context of what is inside an element: its parts, or what stands beside a primitive (`_birthDate`). */
export function contextInside(outer: Context, { key, type }: Element, part: JsonObject): Context {
  const change = CONTEXTS[key] ?? CONTEXTS[type];
  const inside = change ? { ...outer, ...change } : outer;
  return type === 'Extension' ? contextOfExtension(inside, part['url']) : inside;
}

function contextOfExtension(outer: Context, url: Json | undefined): Context {
  const known = typeof url === 'string' ? EXTENSION_CONTEXTS.get(url) : undefined;
  return {
    ...outer,
    datesAreBirth: outer.datesAreBirth || outer.person,
    // Geolocation and the parts of a street line come as extensions of an address, in types of their own.
    everything: outer.everything || outer.fieldClass === 'address',
    ...known,
  };
}

/** An element of a primitive type: what it is, where it stands, and what stands beside it. */
export interface Spot {
  readonly element: Element;
  readonly context: Context;
  readonly siblings: JsonObject;
}

/** The rule for an element; undefined where it stays clear. */
export function ruleOf({ element, context, siblings }: Spot): Rule | undefined {
  const { key, name, type } = element;
  if (!context.sealed || name === 'id' || key === 'Extension.url') return undefined;
  if (key === 'ContactPoint.value') return contactRule(siblings) ?? RULES[key];
  if (RULES[key]) return RULES[key];
  if (CLEAR_ELEMENTS.has(key) && !context.everything) return undefined;
  return defaultRule(type, context);
}

function contactRule(siblings: JsonObject): Rule | undefined {
  const system = siblings['system'];
  return typeof system === 'string' && Object.hasOwn(CONTACT_RULES, system) ? CONTACT_RULES[system] : undefined;
}

const DATES: ReadonlySet<string> = new Set(['date', 'dateTime']);
const MOMENTS: ReadonlySet<string> = new Set(['instant', 'time']);

/** Every text is sealed unless clear.ts names it; what is not text stays clear unless its context says otherwise. */
function defaultRule(datatype: string, { fieldClass, datesAreBirth, everything }: Context): Rule | undefined {
  if (datatype === 'string' || datatype === 'markdown') return seal(fieldClass);
  if (datatype === 'base64Binary') return base64(fieldClass === 'freeText' ? 'media' : fieldClass);
  if (datatype === 'xhtml') return { treatment: 'narrative', fieldClass: 'narrative' };
  if (datatype === 'url') return omit(fieldClass === 'freeText' ? 'contact' : fieldClass);
  if (everything) return omit(fieldClass);
  if (datesAreBirth && DATES.has(datatype)) return year('birthDate');
  if (datesAreBirth && MOMENTS.has(datatype)) return omit('birthDate');
  return undefined;
}

export const sealsByDefault = (resourceType: string): boolean => !CLEAR_TYPES.has(resourceType);
