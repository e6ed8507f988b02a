/** What goes upstream in the place of each kind of element, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { type FhirResource, planSeal } from './index.ts';
import { NOW, open, OWN, ROOT, seal } from './test-support.ts';

const SYSTEM = 'http://hospital.example/mrn';
const patient = (members: { readonly [name: string]: Json }): FhirResource => ({ resourceType: 'Patient', ...members });

const sealedExtension = (number: number) => ({ url: 'urn:keyward:sealed', valueString: `kw1.token_${number}` });
const rootExtension = {
  url: 'urn:keyward:root',
  extension: [
    { url: 'object', valueString: ROOT.objectId },
    { url: 'scope', valueString: ROOT.scope },
    { url: 'policy', valueString: ROOT.policy },
    { url: 'proof', valueString: ROOT.proof },
  ],
};
const INDEX = /^kwi1[a-z2-7]{26}$/;

/** Seals, checks that it opens to the same, and returns the sealed members without root and type. */
function sealedMembers(resource: FhirResource): { [name: string]: Json } {
  const { sealed, vault } = seal(resource);
  assert.deepEqual(open(sealed, vault), resource);
  const { resourceType: _type, extension, ...members } = sealed;
  assert.deepEqual((extension as Json[]).at(-1), rootExtension);
  return extension && (extension as Json[]).length > 1
    ? { ...members, extension: (extension as Json[]).slice(0, -1) }
    : members;
}

test('[E1] a name becomes its blind index, the ciphertext an extension beside it, other parts ciphertext in place', () => {
  const { name } = sealedMembers(
    patient({ name: [{ family: 'Chalmers', given: ['Peter', 'James'], prefix: ['Dr'], text: 'Peter' }] }),
  );
  const [only] = name as [{ [name: string]: Json }];
  assert.match(only['family'] as string, INDEX);
  assert.deepEqual(only['_family'], { extension: [sealedExtension(0)] });
  assert.deepEqual(only['_given'], [{ extension: [sealedExtension(1)] }, { extension: [sealedExtension(2)] }]);
  assert.deepEqual(only['prefix'], ['kw1.token_3']);
  assert.equal(only['text'], 'kw1.token_4');
});

test('[E7] an identifier in a list gets a shadow entry, so that it is found without its system too', () => {
  const resource = patient({ identifier: [{ system: SYSTEM, value: '12345' }, { value: '678' }] });
  assert.deepEqual(
    planSeal(resource, OWN).sites.map(({ terms }) => terms),
    [
      [
        { indexClass: 'identifier', system: SYSTEM, text: '12345' },
        { indexClass: 'identifier', system: '', text: '12345' },
      ],
      [{ indexClass: 'identifier', system: '', text: '678' }],
    ],
  );
  const entries = sealedMembers(resource)['identifier'] as { [name: string]: Json }[];
  assert.deepEqual(
    entries.map(({ system }) => system),
    [SYSTEM, undefined, 'urn:keyward:index'],
  );
  assert.notEqual(entries[0]?.['value'], entries[2]?.['value']);
});

test('[E7] an identifier that cannot repeat has its index only', () => {
  const { sites } = planSeal(
    { resourceType: 'Bundle', type: 'document', identifier: { system: SYSTEM, value: '1' } },
    OWN,
  );
  assert.deepEqual(sites[0]?.terms, [{ indexClass: 'identifier', system: SYSTEM, text: '1' }]);
});

test('[E7] telecom is indexed by its system; a fax and a page have no index', () => {
  const telecom = [
    { system: 'phone', value: '555' },
    { system: 'email', value: 'a@b.example' },
    { system: 'fax', value: '556' },
    { value: '557' },
  ];
  const terms = planSeal(patient({ telecom }), OWN).sites.map((site) =>
    site.terms.map(({ indexClass }) => indexClass).join(),
  );
  assert.deepEqual(terms, ['phone', 'email', '', '']);
});

test('[E7] a value that the normaliser leaves without an index is sealed without one', () => {
  const resource = patient({ telecom: [{ system: 'phone', value: 'none' }] });
  const sealed = planSeal(resource, OWN).apply([{ token: 'kw1.a', indexes: [''] }], ROOT, NOW);
  assert.deepEqual(sealed['telecom'], [
    { system: 'phone', _value: { extension: [{ url: 'urn:keyward:sealed', valueString: 'kw1.a' }] } },
  ]);
  assert.deepEqual(open(sealed, new Map([['kw1.a', 'none']])), resource);
});

test('[E1] birth and death dates keep their year, in extensions too', () => {
  const birthTime = {
    url: 'http://hl7.org/fhir/StructureDefinition/patient-birthTime',
    valueDateTime: '1974-12-25T14:35:45-05:00',
  };
  const own = { url: 'http://example.org/dob', valueDate: '1974-12-25' };
  const members = sealedMembers(
    patient({
      birthDate: '1974-12-25',
      _birthDate: { extension: [birthTime] },
      deceasedDateTime: '2015-02',
      extension: [own],
    }),
  );
  assert.deepEqual(members, {
    birthDate: '1974',
    _birthDate: {
      extension: [
        { url: birthTime.url, valueDateTime: '1974', _valueDateTime: { extension: [sealedExtension(0)] } },
        sealedExtension(1),
      ],
    },
    deceasedDateTime: '2015',
    _deceasedDateTime: { extension: [sealedExtension(2)] },
    extension: [{ url: own.url, valueDate: '1974', _valueDate: { extension: [sealedExtension(3)] } }],
  });
});

test('[E1] nothing in an extension of an address stays, whatever its datatype', () => {
  const geolocation = {
    url: 'http://hl7.org/fhir/StructureDefinition/geolocation',
    extension: [{ url: 'latitude', valueDecimal: JSON.rawJSON('42.10') as unknown as Json }],
  };
  const house = { extension: [{ url: 'http://example.org/house', valueInteger: 17 }] };
  const { address } = sealedMembers(
    patient({ address: [{ line: ['17 Elm'], _line: [house], extension: [geolocation], state: 'VT' }] }),
  );
  assert.doesNotMatch(JSON.stringify(address), /42\.1|17/);
  assert.match(JSON.stringify(address), /"state":"VT"/);
});

test('[E1] holes in lists of primitives, client extensions and ids of elements are kept', () => {
  const hole = {
    extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'masked' }],
  };
  sealedMembers(patient({ name: [{ id: 'n1', given: ['A', null, 'C'], _given: [null, hole, null], _family: hole }] }));
  sealedMembers(patient({ name: [{ given: [null], _given: [hole] }] }));
});

test('[E1] contained resources of clear types are sealed inside a sealed resource', () => {
  const practitioner = { resourceType: 'Practitioner', name: [{ family: 'Careful' }] };
  assert.equal(planSeal(practitioner, OWN).sites.length, 0);
  const sites = planSeal({ resourceType: 'Observation', contained: [practitioner] }, OWN).sites;
  assert.deepEqual(
    sites.map(({ path }) => path),
    ['Observation.contained.Practitioner.name.family'],
  );
});

test('[E1] a contained patient is sealed inside a clear resource, which then carries the root', () => {
  const resource = { resourceType: 'Practitioner', contained: [{ resourceType: 'Patient', birthDate: '1980-01-02' }] };
  const { sealed, vault } = seal(resource);
  assert.doesNotMatch(JSON.stringify(sealed), /1980-01/);
  assert.deepEqual(open(sealed, vault), resource);
});

test('[E1] types without extensions carry the root in their meta', () => {
  const binary = { resourceType: 'Binary', contentType: 'text/plain', data: 'aGVsbG8=' };
  const { sealed, vault } = seal(binary);
  assert.deepEqual(sealed['meta'], { extension: [rootExtension] });
  assert.equal(Buffer.from(sealed['data'] as string, 'base64').toString(), 'kw1.token_0');
  assert.deepEqual(open(sealed, vault), binary);
});

test('[E1] a patient with nothing to seal still carries its subject scope', () => {
  assert.deepEqual(seal(patient({ gender: 'other' })).sealed, {
    resourceType: 'Patient',
    gender: 'other',
    extension: [rootExtension],
  });
});

test('[E1] text that looks like a token is sealed like any other', () => {
  const resource = patient({ name: [{ text: 'kw1.AAAA', family: 'kwi1abcdefghijklmnopqrstuvwxyz' }] });
  const { sealed, vault } = seal(resource);
  assert.deepEqual(open(sealed, vault), resource);
});

/** Bodies that have no treatment: what is wrong, body, code, detail. */
const REFUSED: readonly (readonly [string, FhirResource, string, RegExp?])[] = [
  ['an unknown member', patient({ secretMember: 'x' }), 'FHIR_RESOURCE_INVALID', /^Patient has a member/],
  [
    'an unknown member of a part',
    patient({ name: [{ nick: 'x' }] }),
    'FHIR_RESOURCE_INVALID',
    /^Patient\.name has a member/,
  ],
  ['an unknown companion', patient({ _name: [{}] }), 'FHIR_RESOURCE_INVALID', /^Patient has a member/],
  [
    'an object for a string',
    patient({ name: [{ family: { secret: 'x' } }] }),
    'FHIR_RESOURCE_INVALID',
    /^Patient\.name\.family is of another/,
  ],
  ['a number for a string', patient({ name: [{ family: 7 }] }), 'FHIR_RESOURCE_INVALID'],
  ['a string for a number', patient({ multipleBirthInteger: 'secret' }), 'FHIR_RESOURCE_INVALID'],
  ['a string for an object', patient({ name: ['secret'] }), 'FHIR_RESOURCE_INVALID'],
  ['a string for a companion', patient({ birthDate: '1980', _birthDate: 'secret' }), 'FHIR_RESOURCE_INVALID'],
  [
    'one name without its list',
    patient({ name: { family: 'secret' } }),
    'FHIR_RESOURCE_INVALID',
    /^Patient\.name is not a list/,
  ],
  ['a list for one value', patient({ birthDate: ['1980-01-01'] }), 'FHIR_RESOURCE_INVALID'],
  ['null', patient({ birthDate: null }), 'FHIR_RESOURCE_INVALID'],
  ['null in a list', patient({ name: [{ given: [null] }] }), 'FHIR_RESOURCE_INVALID'],
  ['prose for a date', patient({ birthDate: 'secret born' }), 'FHIR_RESOURCE_INVALID', /not a legal date/],
  ['prose for a clear date', { resourceType: 'Observation', issued: 'secret' }, 'FHIR_RESOURCE_INVALID'],
  [
    'prose for a reference',
    { resourceType: 'Observation', subject: { reference: 'Mister secret' } },
    'FHIR_RESOURCE_INVALID',
  ],
  [
    'a search for a reference',
    { resourceType: 'Observation', subject: { reference: 'Patient?name=secret' } },
    'FHIR_RESOURCE_INVALID',
  ],
  ['a contained thing', patient({ contained: [{ resourceType: 'Elephant' }] }), 'FHIR_RESOURCE_INVALID'],
  ['an abstract type', { resourceType: 'DomainResource' }, 'FHIR_TYPE_UNKNOWN'],
  ['an unknown type', { resourceType: 'Elephant' }, 'FHIR_TYPE_UNKNOWN'],
  ['our extension', patient({ extension: [{ url: 'urn:keyward:root' }] }), 'FHIR_RESERVED_EXTENSION'],
  [
    'our extension, written otherwise',
    patient({ extension: [{ url: ' URN:Keyward:sealed' }] }),
    'FHIR_RESERVED_EXTENSION',
  ],
  ['our system', patient({ identifier: [{ system: 'urn:keyward:index' }] }), 'FHIR_RESERVED_EXTENSION'],
  [
    'a token in a clear place',
    patient({ maritalStatus: { coding: [{ display: 'kw1.secret' }] } }),
    'FHIR_RESERVED_EXTENSION',
  ],
];

for (const [what, body, code, detail] of REFUSED) {
  test(`[E1] ${what} is refused, and the error holds nothing of the body`, () => {
    assert.throws(
      () => planSeal(body, OWN),
      (error: { code?: string; detail?: string; message: string }) => {
        assert.equal(error.code, code);
        assert.doesNotMatch(error.message, /secret|nick|Elephant/i);
        if (detail) assert.match(error.detail ?? '', detail);
        return true;
      },
    );
  });
}

test('[E1] a conditional reference to a type that stays clear is allowed', () => {
  const reference = 'Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999';
  assert.equal(
    planSeal({ resourceType: 'Encounter', participant: [{ individual: { reference } }] }, OWN).sites.length,
    0,
  );
});
