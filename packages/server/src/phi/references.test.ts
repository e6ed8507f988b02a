/** References: which of them make a patient's record, how they are renamed, and ids that say too much. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compartmentPatients, type FhirResource, handleThatReveals, mapReferences } from './index.ts';
import { exampleNames, OWN, readExample } from './test-support.ts';

test('[A3] a resource is in the compartments of the patients that the compartment definition names', () => {
  const cases: readonly (readonly [FhirResource, readonly string[]])[] = [
    [
      {
        resourceType: 'Observation',
        subject: { reference: 'Patient/1' },
        performer: [{ reference: 'Practitioner/2' }],
      },
      ['Patient/1'],
    ],
    [
      { resourceType: 'Observation', subject: { reference: 'Patient/1' }, performer: [{ reference: 'Patient/2' }] },
      ['Patient/1', 'Patient/2'],
    ],
    [{ resourceType: 'Observation', subject: { reference: 'Patient/1', type: 'Device' } }, ['Patient/1']],
    [{ resourceType: 'Observation', subject: { reference: 'urn:uuid:9d0e' } }, ['urn:uuid:9d0e']],
    [
      { resourceType: 'Observation', subject: { reference: 'https://h.example/fhir/Patient/1/_history/2' } },
      ['https://h.example/fhir/Patient/1'],
    ],
    [{ resourceType: 'Observation', subject: { reference: 'Group/1' }, focus: [{ reference: 'Patient/3' }] }, []],
    [
      {
        resourceType: 'Appointment',
        participant: [{ actor: { reference: 'Patient/1' } }, { actor: { reference: 'Patient/1' } }],
      },
      ['Patient/1'],
    ],
    [
      { resourceType: 'Coverage', beneficiary: { reference: 'Patient/1' }, policyHolder: { reference: 'Patient/2' } },
      ['Patient/2', 'Patient/1'],
    ],
    [
      { resourceType: 'Provenance', target: [{ reference: 'Patient/1' }, { reference: 'Observation/1' }] },
      ['Patient/1'],
    ],
    [{ resourceType: 'Patient', link: [{ other: { reference: 'Patient/2' } }] }, []],
    [{ resourceType: 'Organization', partOf: { reference: 'Organization/1' } }, []],
    [{ resourceType: 'Observation', subject: 'Patient/1' }, []],
  ];
  for (const [resource, expected] of cases) assert.deepEqual(new Set(compartmentPatients(resource)), new Set(expected));
});

test("[A3] the official examples with a patient as their subject are in that patient's compartment", () => {
  const observations = exampleNames(false)
    .filter((name) => /^(Observation|Encounter|Condition|MedicationRequest)-/.test(name))
    .map(readExample);
  const about = observations.filter(({ subject }) =>
    (subject as { reference?: string } | undefined)?.reference?.startsWith('Patient/'),
  );
  assert.ok(about.length > 50);
  for (const resource of about) {
    const { reference } = resource['subject'] as { reference: string };
    assert.ok(compartmentPatients(resource).includes(reference), reference);
  }
});

test('[P1] every reference is renamed, in elements, extensions and contained resources; nothing else is touched', () => {
  const make = (reference: string): FhirResource => ({
    resourceType: 'Observation',
    subject: { reference, display: 'urn:uuid:1' },
    note: [{ text: 'urn:uuid:1', authorReference: { reference } }],
    extension: [{ url: 'http://example.org', valueReference: { reference } }],
    contained: [{ resourceType: 'Encounter', subject: { reference } }],
    _status: { extension: [{ url: 'http://example.org', valueReference: { reference } }] },
    unheardOf: { reference: 'urn:uuid:1' },
  });
  const original = make('urn:uuid:1');
  assert.deepEqual(
    mapReferences(original, (reference) => reference.replace('urn:uuid:1', 'Patient/7')),
    make('Patient/7'),
  );
  assert.deepEqual(original, make('urn:uuid:1'));
});

test('[P1] an id made of a name, an identifier, a phone number or a birth date is recognised', () => {
  const person: FhirResource = {
    resourceType: 'Patient',
    identifier: [{ system: 'http://hl7.org/fhir/sid/us-ssn', value: '123-45-6789' }],
    name: [{ family: "O'Neil", given: ['Zoë'] }],
    telecom: [{ system: 'phone', value: '(555) 1234' }],
    birthDate: '1980-01-02',
  };
  for (const id of [
    '123456789',
    '123-45-6789',
    'oneil',
    'ZOE',
    'zoe.oneil',
    'oneil-zoe',
    '555-1234',
    '1980-01-02',
    '19800102',
  ]) {
    assert.equal(handleThatReveals({ ...person, id }, OWN, true), 'Patient.id', id);
  }
  for (const id of ['b7a8f0c2-52f4-4f0b-9d0e-6a1c2b3d4e5f', '42'])
    assert.equal(handleThatReveals({ ...person, id }, OWN, true), undefined, id);
  assert.equal(handleThatReveals(person, OWN, true), undefined);
});

const TELLING: FhirResource = {
  resourceType: 'Patient',
  identifier: [{ system: 'http://hl7.org/fhir/sid/us-ssn', value: '123-45-6789' }],
  name: [{ family: 'Featherstone', given: ['Al'] }],
  managingOrganization: { reference: 'Organization/1', display: 'Organization 1' },
};

test('[P1] an element id, the id of a contained resource, a reference and a uri may not hold an identifying value', () => {
  const cases: readonly (readonly [part: object, path: string | undefined])[] = [
    [{ contained: [{ resourceType: 'Basic', id: '123456789' }] }, 'Patient.contained.Basic.id'],
    [{ address: [{ id: 'featherstone' }] }, 'Patient.address.id'],
    [{ link: [{ other: { reference: 'Patient/123-45-6789' }, type: 'seealso' }] }, 'Patient.link.other.reference'],
    [{ meta: { source: 'urn:ssn:123-45-6789' } }, 'Patient.meta.source'],
    [
      { extension: [{ url: 'urn:x', valueUri: 'https://example.org/p?ssn=123-45-6789' }] },
      'Patient.extension.valueUri',
    ],
    [{ address: [{ id: 'al' }] }, undefined],
    [{ meta: { source: 'urn:ssn:123-45-6780' } }, undefined],
    [{ id: '123456789' }, undefined],
  ];
  for (const [part, path] of cases)
    assert.equal(handleThatReveals({ ...TELLING, ...part }, OWN, false), path, String(path));
});

test('[P1] a random identifier may also be the id in a reference: it tells nobody', () => {
  const uuid = 'b7a8f0c2-52f4-4f0b-9d0e-6a1c2b3d4e5f';
  const claim = {
    resourceType: 'Claim',
    identifier: [{ value: uuid }],
    related: [{ claim: { reference: `Claim/${uuid}` } }],
  };
  assert.equal(handleThatReveals(claim, OWN, false), undefined);
});

test('[P1] hardly any official example is refused for a text that tells', () => {
  const refused = exampleNames(false).filter((name) => handleThatReveals(readExample(name), OWN, false) !== undefined);
  // A reference that is a given name, and two bundles in which one identifier is also an id.
  assert.deepEqual(refused, ['Bundle-lri-example.json', 'Bundle-ussg-fht.json', 'Person-example.json']);
});
