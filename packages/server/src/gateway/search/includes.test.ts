/** What comes along with matches: asked for by name, followed by reference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FhirResource } from '../../phi/index.ts';
import { includedFrom, includeOf } from './includes.ts';
import { plan, refusal } from './testing.ts';

test('[E7] includes name a type and one of its references; wildcards and other modifiers are refused by name', () => {
  const cases: Readonly<Record<string, string>> = {
    '_include=Observation:patient': 'accepted',
    '_include=Observation:subject:Patient': 'accepted',
    '_include:iterate=Patient:organization': 'accepted',
    '_revinclude=Provenance:target': 'accepted',
    '_revinclude:iterate=Provenance:target:Patient': 'accepted',
    '_include=*': 'FHIR_PARAM_UNSUPPORTED',
    '_include=Observation:*': 'FHIR_PARAM_UNSUPPORTED',
    '_revinclude=*': 'FHIR_PARAM_UNSUPPORTED',
    '_include:recurse=Patient:organization': 'FHIR_PARAM_UNSUPPORTED',
    '_include=Observation': 'FHIR_PARAM_INVALID',
    '_include=Observation:code': 'FHIR_PARAM_INVALID',
    '_include=Elephant:patient': 'FHIR_PARAM_INVALID',
    '_include=Observation:subject:Practitioner': 'FHIR_PARAM_INVALID',
    '_include=Observation:subject:Patient:more': 'FHIR_PARAM_INVALID',
  };
  for (const [query, code] of Object.entries(cases))
    assert.equal(refusal(query, { type: 'Observation', inUrl: true }), code, query);
  const many = Array.from({ length: 21 }, () => '_include=Observation:patient').join('&');
  assert.equal(refusal(many, { type: 'Observation' }), 'FHIR_PARAM_INVALID');
});

test('[E7] includes reach the upstream as they were asked', () => {
  assert.deepEqual(plan('_include:iterate=Patient:organization').clear, [['_include:iterate', 'Patient:organization']]);
});

const found = (resourceType: string, id: string, more: object = {}): { resource: FhirResource } => ({
  resource: { resourceType, id, ...more },
});
const to = (reference: string) => ({ reference });
const included = (
  includes: readonly (readonly [name: string, value: string])[],
  shown: { resource: FhirResource }[],
  candidates: { resource: FhirResource }[],
) =>
  includedFrom(
    shown,
    candidates,
    includes.map(([name, value]) => includeOf(name, value)),
  ).map(({ resource }) => resource.id);

const patient = found('Patient', 'p1', { managingOrganization: to('Organization/o1') });
const other = found('Patient', 'p2');
const organization = found('Organization', 'o1', { partOf: to('https://elsewhere.example/fhir/Organization/o2') });
const parent = found('Organization', 'o2');
const observation = found('Observation', 'b1', { subject: to('Patient/p1/_history/3') });
const others = found('Observation', 'b2', { subject: to('Patient/p2') });

test('[A4] what is included hangs together with a match that is shown; what came along with one that is not is left out', () => {
  const all = [organization, observation, others, other];
  assert.deepEqual(included([['_revinclude', 'Observation:subject']], [patient], all), ['b1']);
  assert.deepEqual(included([['_include', 'Patient:organization']], [patient], all), ['o1']);
  assert.deepEqual(included([['_include', 'Observation:subject']], [observation], [patient, other]), ['p1']);
  assert.deepEqual(included([['_include', 'Observation:subject:Group']], [observation], [patient, other]), []);
  assert.deepEqual(included([], [patient], all), []);
  assert.deepEqual(included([['_revinclude', 'Observation:subject']], [], all), []);
});

test('[E7] only includes that iterate are followed from what was included', () => {
  const candidates = [patient, organization, parent];
  const first = ['_include', 'Observation:subject'] as const;
  assert.deepEqual(included([first, ['_include', 'Patient:organization']], [observation], candidates), ['p1']);
  const further = [
    ['_include:iterate', 'Patient:organization'],
    ['_include:iterate', 'Organization:partof'],
  ] as const;
  assert.deepEqual(included([first, ...further], [observation], candidates), ['p1', 'o1', 'o2']);
});

test('[E7] references that go round in circles end', () => {
  const [a, b] = [
    found('Organization', 'a', { partOf: to('Organization/b') }),
    found('Organization', 'b', { partOf: to('Organization/a') }),
  ];
  assert.deepEqual(included([['_include:iterate', 'Organization:partof']], [a], [b]), ['b']);
});

test('[E7] canonicals are followed by the url they name', () => {
  const definition = found('PlanDefinition', 'x', { library: ['http://example.org/Library/l|2'] });
  const library = found('Library', 'somewhere', { url: 'http://example.org/Library/l' });
  assert.deepEqual(included([['_include', 'PlanDefinition:depends-on']], [definition], [library]), ['somewhere']);
});
