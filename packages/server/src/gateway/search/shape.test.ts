/** `_elements` and `_summary`: what they leave of a resource, and when they are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FhirResource } from '../../phi/index.ts';
import { narrowed, readShape, shaped } from './shape.ts';
import { plan, refusal } from './testing.ts';

const ROOT = { url: 'urn:keyward:root', valueString: 'kept' };
const PATIENT: FhirResource = {
  resourceType: 'Patient',
  id: 'p',
  meta: { versionId: '1' },
  implicitRules: 'http://example.org/rules',
  text: { status: 'generated', div: '<div/>' },
  extension: [ROOT, { url: 'http://example.org/x', valueString: 'x' }],
  name: [{ family: 'Ann' }],
  birthDate: '1980',
  _birthDate: { extension: [{ url: 'urn:keyward:sealed', valueString: 't' }] },
  photo: [{ contentType: 'image/png', data: 'AA==' }],
  contact: [{ gender: 'male' }],
  deceasedBoolean: true,
};
const shapeFor = (query: string, type = 'Patient') => readShape(type, new URLSearchParams(query));
const left = (query: string, resource = PATIENT) =>
  Object.keys(narrowed(resource, shapeFor(query, resource.resourceType), true, []));

test('[A4] what is not selected is not there to be opened; who it is, and our root, are', () => {
  const always = ['resourceType', 'id', 'meta', 'implicitRules'];
  assert.deepEqual(left('_elements=birthDate'), [...always, 'birthDate', '_birthDate', 'extension']);
  assert.deepEqual(left('_elements=deceased'), [...always, 'deceasedBoolean', 'extension']);
  assert.deepEqual(left('_summary=text'), [...always, 'text', 'extension']);
  assert.deepEqual(left('_summary=true'), [
    ...always,
    'name',
    'birthDate',
    '_birthDate',
    'deceasedBoolean',
    'extension',
  ]);
  assert.deepEqual(
    left('_summary=data'),
    Object.keys(PATIENT).filter((name) => name !== 'text'),
  );
  assert.deepEqual(left('_summary=false'), Object.keys(PATIENT));
  const part = narrowed(PATIENT, shapeFor('_elements=name'), true, []);
  assert.deepEqual(part['extension'], [ROOT]);
});

test('[A4] mandatory elements stay, as R4 wants it', () => {
  const observation: FhirResource = { resourceType: 'Observation', status: 'final', code: { text: 'x' }, note: [] };
  assert.deepEqual(left('_elements=subject', observation), ['resourceType', 'status', 'code']);
});

test('[A4] a summary goes down into the parts', () => {
  const document: FhirResource = {
    resourceType: 'DocumentReference',
    status: 'current',
    content: [{ attachment: { contentType: 'text/plain', title: 'Letter', data: 'AA==' } }],
  };
  const part = narrowed(document, shapeFor('_summary=true', 'DocumentReference'), true, []);
  assert.deepEqual(part['content'], [{ attachment: { contentType: 'text/plain', title: 'Letter' } }]);
});

test('[A4] what a filter needs is opened, and not shown', () => {
  const part = narrowed(PATIENT, shapeFor('_elements=name'), true, ['birthDate']);
  assert.ok('birthDate' in part);
  const seen = shaped(part, shapeFor('_elements=name'), true);
  assert.ok(!('birthDate' in seen));
  assert.deepEqual(
    (seen['meta'] as { tag?: { code?: string }[] }).tag?.map(({ code }) => code),
    ['SUBSETTED'],
  );
});

test('[A4] elements are those of the searched type, a summary is one of all types', () => {
  const organization: FhirResource = { resourceType: 'Organization', name: 'O', contact: [{ name: { text: 'C' } }] };
  assert.equal(shaped(organization, shapeFor('_elements=birthDate'), false), organization);
  assert.ok(!('contact' in shaped(organization, shapeFor('_summary=true'), false)));
});

test('[E7] both are refused where they are not clear, and never reach the upstream', () => {
  const cases: Readonly<Record<string, string>> = {
    '_elements=name&_summary=true': 'FHIR_PARAM_UNSUPPORTED',
    '_elements=name.family': 'FHIR_PARAM_INVALID',
    '_elements=constructor': 'FHIR_PARAM_INVALID',
    '_elements=': 'FHIR_PARAM_INVALID',
    '_elements=name&_elements=id': 'FHIR_PARAM_INVALID',
    '_summary=maybe': 'FHIR_PARAM_INVALID',
    '_summary=text&_include=Patient:organization': 'FHIR_PARAM_UNSUPPORTED',
    '_summary=count&birthdate=1980-05-12': 'FHIR_PARAM_UNSUPPORTED',
    '_elements=name,deceased[x]': 'accepted',
  };
  for (const [query, code] of Object.entries(cases)) assert.equal(refusal(query), code, query);
  assert.deepEqual(plan('_elements=name&gender=male').clear, [['gender', 'male']]);
  assert.throws(() => shapeFor('_summary=count'), /FHIR_PARAM_UNSUPPORTED/);
  assert.throws(() => shapeFor('_include=Patient:organization'), /FHIR_PARAM_UNSUPPORTED/);
});

test('[E7] a count asks the upstream for a number, not for resources', () => {
  assert.deepEqual(plan('_summary=count&family=x&_count=5&_include=Patient:organization').clear, [
    ['_count', '0'],
    ['_total', 'accurate'],
  ]);
});
