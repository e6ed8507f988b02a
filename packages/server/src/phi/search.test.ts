/** Every R4 search parameter has an answer, and the ones on sealed elements the right one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trailsOf } from './expression.ts';
import { searchParameter, searchParameters, searchTarget } from './index.ts';
import { isResourceType, typeNames } from './structure.ts';
import { OWN } from './test-support.ts';

/** `Type.code`, kind, classes. */
const TARGETS: readonly (readonly [string, string, string?])[] = [
  ['Patient.identifier', 'blind-token', 'identifier'],
  ['Patient.family', 'blind-string', 'family'],
  ['Patient.given', 'blind-string', 'given'],
  ['Patient.name', 'blind-string', 'family,given'],
  ['Patient.phonetic', 'refused'],
  ['Patient.phone', 'blind-token', 'phone'],
  ['Patient.email', 'blind-token', 'email'],
  ['Patient.telecom', 'blind-token', 'phone,email'],
  ['Patient.address', 'blind-string', 'city,postalCode'],
  ['Patient.address-city', 'blind-string', 'city'],
  ['Patient.address-postalcode', 'blind-string', 'postalCode'],
  ['Patient.address-state', 'clear'],
  ['Patient.address-country', 'clear'],
  ['Patient.address-use', 'clear'],
  ['Patient.birthdate', 'year-bucket'],
  ['Patient.death-date', 'year-bucket'],
  ['Patient.deceased', 'clear'],
  ['Patient.gender', 'clear'],
  ['Patient.general-practitioner', 'clear'],
  ['Patient._id', 'clear'],
  ['Patient._lastUpdated', 'clear'],
  ['Patient._tag', 'clear'],
  ['Patient._profile', 'clear'],
  ['Patient._security', 'clear'],
  ['Patient._text', 'refused'],
  ['Patient._content', 'refused'],
  ['Patient._query', 'refused'],
  ['Person.name', 'blind-string', 'family,given'],
  ['RelatedPerson.birthdate', 'year-bucket'],
  ['Observation.code', 'clear'],
  ['Observation.date', 'clear'],
  ['Observation.value-quantity', 'clear'],
  ['Observation.value-string', 'refused'],
  ['Observation.code-value-quantity', 'clear'],
  ['Observation.code-value-string', 'refused'],
  ['Procedure.date', 'clear'],
  ['Immunization.date', 'clear'],
  ['Encounter.identifier', 'blind-token', 'identifier'],
  ['DocumentReference.location', 'refused'],
  ['Device.udi-di', 'refused'],
  ['Organization.name', 'clear'],
  ['Organization._text', 'refused'],
  ['Organization._content', 'refused'],
  ['Organization.identifier', 'clear'],
  ['Practitioner.phonetic', 'clear'],
  ['Location.near', 'clear'],
];

for (const [name, kind, classes] of TARGETS) {
  test(`[E7] ${name} is ${kind}`, () => {
    const [type = '', code = ''] = name.split('.');
    const target = searchTarget(type, code, OWN);
    assert.equal(target?.kind, kind);
    assert.equal(target && 'classes' in target ? target.classes.join() : undefined, classes);
  });
}

test('[E7] a parameter that R4 does not define on a type has no target', () => {
  for (const [type, code] of [
    ['Patient', 'ssn'],
    ['Patient', 'constructor'],
    ['Elephant', '_id'],
    ['Binary', '_text'],
  ] as const) {
    assert.equal(searchTarget(type, code, OWN), undefined);
    assert.equal(searchParameter(type, code)?.type, undefined);
  }
});

test('[E7] the expression of every parameter is read to its end and selects an element', () => {
  const parameters = typeNames().filter(isResourceType).flatMap(searchParameters);
  assert.ok(parameters.length > 2000);
  const unread = parameters.filter(
    ({ type, expression }) => expression !== '' && type !== 'composite' && trailsOf(expression).length === 0,
  );
  assert.deepEqual(unread, []);
});

test('[E7] parameters come with their type and an expression that begins at the type', () => {
  assert.equal(searchParameter('Patient', 'birthdate')?.type, 'date');
  const byCode = new Map(searchParameters('Patient').map((parameter) => [parameter.code, parameter]));
  assert.equal(byCode.get('_tag')?.expression, 'Patient.meta.tag');
  assert.equal(byCode.get('phone')?.expression, "Patient.telecom.where(system='phone')");
  assert.equal(byCode.get('death-date')?.expression, 'Patient.deceased.ofType(dateTime)');
});
