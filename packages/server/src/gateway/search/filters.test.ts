/** The second look: what an upstream found is shown only if its opened values confirm it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { FhirResource } from '../../phi/index.ts';
import { matchesFilters } from './filters.ts';
import { catalogue, plan } from './testing.ts';

const SSN = 'http://hl7.org/fhir/sid/us-ssn';
const ANN: FhirResource = {
  resourceType: 'Patient',
  identifier: [{ system: SSN, value: '123-45-6789' }, { value: 'loose' }],
  name: [{ family: 'Müller', given: ['Ann', 'Marie'] }, { text: 'Nickname' }],
  telecom: [
    { system: 'phone', value: '(555) 123-4567' },
    { system: 'email', value: 'Ann@Example.org' },
  ],
  address: [{ city: 'Springfield', postalCode: '12345' }],
  birthDate: '1980-05-12',
};

/** Whether this patient is shown to who asked so, once the upstream found it. */
const isShown = (query: string, resource = ANN) =>
  matchesFilters(resource, plan(query, { type: resource.resourceType }).filters, catalogue);

test('[E7] what the opened values do not confirm is not shown, whatever the upstream found', () => {
  const shown = [
    'family=müller',
    'family=MÜLLER,Other',
    'name=ann',
    'name=Marie',
    `identifier=${SSN}|123456789`,
    'identifier=123-45-6789',
    'identifier=loose',
    'phone=%2B1 555 123 4567',
    'telecom=ann@example.org',
    'address=springfield',
    'address-postalcode=12345',
    'identifier:not=other',
  ];
  const wrong = [
    'family=Muller',
    'family=Ann',
    'name=Nickname',
    'identifier=urn:other|123-45-6789',
    'phone=5551234568',
    'email=555 123 4567',
    'address-city=12345',
    'identifier:not=loose',
    'family=müller&given=Otto',
  ];
  for (const query of shown) assert.ok(isShown(query), query);
  for (const query of wrong) assert.ok(!isShown(query), query);
});

test('[E7] :exact compares letter by letter', () => {
  assert.ok(isShown('family:exact=Müller'));
  assert.ok(isShown('name:exact=Marie'));
  assert.ok(!isShown('family:exact=müller'));
  assert.ok(!isShown('family:exact=Mu\u0308ller'));
});

test('[E7] dates are compared by the days they can mean', () => {
  const cases: Readonly<Record<string, boolean>> = {
    'birthdate=1980': true,
    'birthdate=1980-05': true,
    'birthdate=eq1980-05-12': true,
    'birthdate=1980-05-13': false,
    'birthdate=ge1980-05-12': true,
    'birthdate=gt1980-05-12': false,
    'birthdate=gt1980-05-11': true,
    'birthdate=gt1980': false,
    'birthdate=ge1980': true,
    'birthdate=le1980-05': true,
    'birthdate=lt1980-05': false,
    'birthdate=lt1980-06': true,
    'birthdate=lt1981': true,
    'birthdate=1979,1980-05': true,
    'birthdate=ge1980-05-01&birthdate=le1980-05-31': true,
    'birthdate=ge1980-06-01&birthdate=le1980-06-30': false,
  };
  for (const [query, expected] of Object.entries(cases)) assert.equal(isShown(query), expected, query);
  const died: FhirResource = { resourceType: 'Patient', deceasedDateTime: '2001-02-03T04:05:06Z' };
  assert.ok(isShown('death-date=2001-02-03', died));
  assert.ok(!isShown('death-date=gt2001-02-03', died));
  assert.ok(!isShown('birthdate=1980', { resourceType: 'Patient' }));
});

test('[E7] the years the upstream is asked for leave out nothing that the dates would find', () => {
  const day = fc
    .date({ min: new Date('1900-01-01'), max: new Date('2030-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString().slice(0, 10));
  const asked = fc.tuple(fc.constantFrom('', 'eq', 'ge', 'gt', 'le', 'lt'), day, fc.constantFrom(4, 7, 10));
  fc.assert(
    fc.property(asked, day, ([prefix, date, length], birthDate) => {
      const query = `birthdate=${prefix}${date.slice(0, length)}`;
      const [, years = ''] = plan(query).clear[0] ?? [];
      if (isShown(query, { ...ANN, birthDate }))
        assert.ok(isShown(`birthdate=${years}`, { ...ANN, birthDate: birthDate.slice(0, 4) }), query);
    }),
  );
});

test('[E7] filters hold no value searched for, and 500 of them fit into a link', () => {
  const values = Array.from({ length: 500 }, (_, index) => `MRN-${index}`);
  const text = JSON.stringify(plan(`identifier=${values.join(',')}`).filters);
  assert.doesNotMatch(text, /MRN/);
  assert.ok(text.length < 8_000, String(text.length));
});
