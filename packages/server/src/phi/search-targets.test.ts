/** What can be asked of every search parameter of every R4 type, against a list that was read by people. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createCatalogue,
  RESOURCE_TYPES,
  sealsByDefault,
  searchParameter,
  searchParameters,
  type SearchTarget,
  searchTarget,
} from './index.ts';

/** On sealed types everything is clear but these, `identifier`, and what looks into everything. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'blind-string family,given': ['Patient.name', 'Person.name', 'RelatedPerson.name'],
  'blind-string family': ['Patient.family'],
  'blind-string given': ['Patient.given'],
  'blind-string city,postalCode': ['Patient.address', 'Person.address', 'RelatedPerson.address'],
  'blind-string city': ['Patient.address-city', 'Person.address-city', 'RelatedPerson.address-city'],
  'blind-string postalCode': [
    'Patient.address-postalcode',
    'Person.address-postalcode',
    'RelatedPerson.address-postalcode',
  ],
  'blind-token phone,email': ['Patient.telecom', 'Person.telecom', 'RelatedPerson.telecom', 'Subscription.contact'],
  'blind-token phone': ['Patient.phone', 'Person.phone', 'RelatedPerson.phone'],
  'blind-token email': ['Patient.email', 'Person.email', 'RelatedPerson.email'],
  'year-bucket': ['Patient.birthdate', 'Patient.death-date', 'Person.birthdate', 'RelatedPerson.birthdate'],
  'blind-token identifier': ['Specimen.container-id'],
  'blind-token identifier, system required': [
    'Bundle.identifier',
    'CommunicationRequest.group-identifier',
    'Composition.identifier',
    'Composition.related-id',
    'DeviceRequest.group-identifier',
    'DocumentManifest.identifier',
    'DocumentManifest.related-id',
    'DocumentReference.identifier',
    'GuidanceResponse.request',
    'QuestionnaireResponse.identifier',
    'RequestGroup.group-identifier',
    'ServiceRequest.requisition',
    'Specimen.accession',
    'Task.group-identifier',
  ],
  refused: [
    'Account.name',
    'AuditEvent.address',
    'AuditEvent.agent-name',
    'AuditEvent.altid',
    'AuditEvent.entity-name',
    'AuditEvent.site',
    'ClaimResponse.disposition',
    'Composition.title',
    'Condition.abatement-string',
    'Condition.onset-info',
    'Coverage.class-value',
    'Coverage.dependent',
    'CoverageEligibilityResponse.disposition',
    'Device.device-name',
    'Device.udi-carrier',
    'Device.udi-di',
    'DocumentManifest.description',
    'DocumentReference.description',
    'DocumentReference.location',
    'ExplanationOfBenefit.disposition',
    'Immunization.series',
    'List.notes',
    'List.title',
    'MessageHeader.destination',
    'MessageHeader.source',
    'Observation.code-value-string',
    'Observation.value-string',
    'Patient.phonetic',
    'PaymentReconciliation.disposition',
    'Person.phonetic',
    'RelatedPerson.phonetic',
    'Subscription.criteria',
    'Subscription.url',
  ],
};

const LOOKS_AT_EVERYTHING: ReadonlySet<string> = new Set(['_text', '_content', '_query']);
const BY_NAME = new Map(
  Object.entries(EXPECTED).flatMap(([kind, names]) => names.map((name) => [name, kind] as const)),
);

function expected(type: string, code: string): string {
  if (LOOKS_AT_EVERYTHING.has(code)) return 'refused';
  if (!sealsByDefault(type)) return 'clear';
  return BY_NAME.get(`${type}.${code}`) ?? (code === 'identifier' ? 'blind-token identifier' : 'clear');
}

function written(target: SearchTarget | undefined): string {
  const classes = target && 'classes' in target ? ` ${target.classes.join()}` : '';
  return `${target?.kind}${classes}${target?.kind === 'blind-token' && target.systemRequired ? ', system required' : ''}`;
}

test('[E7] every search parameter of every type is searched as its elements are sealed', (context) => {
  const catalogue = createCatalogue();
  const counts = new Map<string, number>();
  const wrong: string[] = [];
  for (const type of RESOURCE_TYPES) {
    for (const { code } of searchParameters(type)) {
      const found = written(searchTarget(type, code, catalogue));
      const kind = found.split(' ')[0] ?? '';
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      if (found !== expected(type, code)) wrong.push(`${type}.${code}: ${found}, not ${expected(type, code)}`);
    }
  }
  for (const [kind, count] of counts) context.diagnostic(`${kind}: ${count}`);
  assert.deepEqual(wrong, []);
  assert.ok(
    [...counts.values()].reduce((sum, count) => sum + count) > 3000,
    'R4 has some 3,000 pairs of type and parameter',
  );
});

test('[E7] every name in the list is that of a parameter', () => {
  for (const name of BY_NAME.keys()) {
    const [type = '', code = ''] = name.split('.');
    assert.ok(searchParameter(type, code), name);
  }
});

test('[E7] a reference parameter says which types it may name, as narrowly as the element does', () => {
  const targets = (type: string, code: string) => searchParameter(type, code)?.targets.join();
  assert.equal(targets('Observation', 'patient'), 'Patient');
  assert.equal(targets('AllergyIntolerance', 'patient'), 'Patient');
  assert.equal(targets('Observation', 'subject'), 'Device,Group,Location,Patient');
  assert.equal(targets('Patient', 'organization'), 'Organization');
  assert.equal(searchParameter('Provenance', 'target')?.targets.length, RESOURCE_TYPES.length);
  assert.equal(targets('Patient', 'gender'), '');
});
