/** Small profiles of our own, for what the published ones do not use, and for what cannot be compiled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import type { FhirResource } from '../../types.ts';
import type { Profiles } from './profiles.ts';
import { CORE, profiles, refusal, told } from './test-support.ts';

interface Definition {
  readonly id: string;
  readonly [name: string]: Json;
}
const profileOf = (type: string, ...elements: readonly Definition[]): Json => ({
  resourceType: 'StructureDefinition',
  url: `http://example.com/${type}`,
  kind: 'resource',
  derivation: 'constraint',
  type,
  snapshot: { element: [{ id: type, path: type, min: 0, max: '*' }, ...(elements as unknown as Json[])] },
});
const only = (type: string, ...elements: readonly Definition[]): Profiles =>
  profiles([profileOf(type, ...elements)], { appliesTo: type });
const many = (id: string, more: { readonly [name: string]: Json } = {}): Definition => ({
  id,
  min: 0,
  max: '*',
  ...more,
});
const one = (id: string, more: { readonly [name: string]: Json } = {}): Definition => ({
  id,
  min: 1,
  max: '1',
  ...more,
});
const slicing = (type: string, path: string, rules = 'open', ordered = false): Json => ({
  discriminator: [{ type, path }],
  rules,
  ordered,
});
const phones = (rules: string, ordered = false) =>
  only(
    'Patient',
    many('Patient.telecom', { slicing: slicing('value', 'system', rules, ordered) }),
    { ...many('Patient.telecom:phone'), min: 1, max: '2' },
    one('Patient.telecom:phone.system', { fixedCode: 'phone' }),
    one('Patient.telecom:phone.use'),
    many('Patient.telecom:email'),
    one('Patient.telecom:email.system', { patternCode: 'email' }),
  );
const reach = (...systems: readonly string[]): FhirResource => ({
  resourceType: 'Patient',
  telecom: systems.map((system) => ({ system, use: 'home', value: '1' })),
});
const patient = (members: { readonly [name: string]: Json }): FhirResource => ({ resourceType: 'Patient', ...members });

const RULES: readonly (readonly [what: string, rules: Profiles, resource: FhirResource, expected: string])[] = [
  ['too few of a slice', phones('open'), reach('email'), 'Patient.telecom:phone must be there.'],
  [
    'too many of a slice',
    phones('open'),
    reach('phone', 'phone', 'phone'),
    'Patient.telecom:phone must be there at most 2 times.',
  ],
  ['another system among open slices', phones('open'), reach('phone', 'fax'), ''],
  [
    'another system among closed slices',
    phones('closed'),
    reach('phone', 'fax'),
    'Patient.telecom[1] must be of a slice that the profile has.',
  ],
  ['slices in their order', phones('open', true), reach('phone', 'email'), ''],
  [
    'slices out of order',
    phones('open', true),
    reach('email', 'phone'),
    'Patient.telecom[1] must come in the order of the slices.',
  ],
  [
    'what a slice demands of its own',
    phones('open'),
    patient({ telecom: [{ system: 'phone', value: '1' }] }),
    'Patient.telecom[0].use must be there.',
  ],
  [
    'an element the profile forbids',
    only('Patient', { ...many('Patient.photo'), max: '0' }),
    patient({ photo: [{ title: 'a' }] }),
    'Patient.photo must not be there.',
  ],
  [
    'a text that is too long',
    only('Patient', many('Patient.language', { maxLength: 2 })),
    patient({ language: 'de-AT' }),
    'Patient.language must have at most 2 characters.',
  ],
  [
    'a pattern that is there among more',
    only('Patient', many('Patient.maritalStatus', { patternCodeableConcept: { coding: [{ code: 'M' }] } })),
    patient({ maritalStatus: { coding: [{ code: 'S' }, { code: 'M', display: 'Married' }] } }),
    '',
  ],
  [
    'a pattern that is not there',
    only('Patient', many('Patient.maritalStatus', { patternCodeableConcept: { coding: [{ code: 'M' }] } })),
    patient({ maritalStatus: { coding: [{ code: 'S' }] } }),
    'Patient.maritalStatus must have the pattern of the profile.',
  ],
  [
    'more than what is fixed',
    only('Patient', many('Patient.maritalStatus', { fixedCodeableConcept: { coding: [{ code: 'M' }] } })),
    patient({ maritalStatus: { coding: [{ code: 'M', display: 'Married' }] } }),
    'Patient.maritalStatus must have the value that the profile fixes.',
  ],
  [
    'a reference to a type that is left out',
    only(
      'Patient',
      many('Patient.generalPractitioner', { type: [{ code: 'Reference', targetProfile: [`${CORE}Organization`] }] }),
    ),
    patient({ generalPractitioner: [{ reference: 'Practitioner/1' }] }),
    'Patient.generalPractitioner[0] must refer to Organization.',
  ],
  [
    'a slice by what exists',
    only(
      'Patient',
      many('Patient.contact', { slicing: slicing('exists', 'organization') }),
      { ...many('Patient.contact:firm'), max: '0' },
      one('Patient.contact:firm.organization'),
    ),
    patient({ contact: [{ name: { text: 'a' } }, { organization: { display: 'b' } }] }),
    'Patient.contact:firm must not be there.',
  ],
  [
    'a slice by the type of a choice',
    only(
      'Observation',
      many('Observation.value[x]', {
        type: [{ code: 'Quantity' }, { code: 'string' }],
        slicing: slicing('type', '$this'),
      }),
      many('Observation.value[x]:valueQuantity', { type: [{ code: 'Quantity' }] }),
      one('Observation.value[x]:valueQuantity.code', { type: [{ code: 'code' }] }),
    ),
    { resourceType: 'Observation', valueQuantity: { value: 1 } },
    'Observation.valueQuantity.code must be there.',
  ],
  [
    'a slice by the type of a nested resource',
    only(
      'Bundle',
      many('Bundle.entry', { slicing: slicing('type', 'resource') }),
      one('Bundle.entry:patient'),
      one('Bundle.entry:patient.resource', { type: [{ code: 'Patient' }] }),
    ),
    { resourceType: 'Bundle', type: 'collection', entry: [{ resource: { resourceType: 'Basic' } }] },
    'Bundle.entry:patient must be there.',
  ],
  [
    'what stands beside a primitive',
    only('Patient', many('Patient.birthDate'), one('Patient.birthDate.extension')),
    patient({ birthDate: '1970' }),
    'Patient.birthDate.extension must be there.',
  ],
];

for (const [what, rules, resource, expected] of RULES)
  test(`[A5] ${what}: ${expected === '' ? 'accepted' : 'refused'} by a profile`, () =>
    assert.equal(told(rules, resource), expected));

const UNUSABLE: readonly (readonly [what: string, documents: readonly Json[], detail: RegExp])[] = [
  [
    'no snapshot',
    [
      {
        resourceType: 'StructureDefinition',
        url: 'http://a',
        kind: 'resource',
        derivation: 'constraint',
        type: 'Patient',
      },
    ],
    /^http:\/\/a: it has no snapshot/,
  ],
  ['an element R4 does not have', [profileOf('Patient', one('Patient.nickname'))], /R4 has no Patient\.nickname/],
  [
    'an element twice',
    [profileOf('Patient', one('Patient.name'), one('Patient.name'))],
    /Patient\.name is there twice/,
  ],
  ['a slice of nothing', [profileOf('Patient', one('Patient.name:official'))], /belongs to no element/],
  [
    'slices that are not told apart',
    [profileOf('Patient', many('Patient.name'), one('Patient.name:official'))],
    /does not say how/,
  ],
  [
    'a discriminator by profile',
    [
      profileOf(
        'Patient',
        many('Patient.name', { slicing: slicing('profile', '$this') }),
        one('Patient.name:official'),
      ),
    ],
    /Patient\.name: the discriminator profile \$this is not supported/,
  ],
  [
    'a discriminator behind a reference',
    [
      profileOf(
        'Patient',
        many('Patient.link', { slicing: slicing('value', 'other.resolve().id') }),
        one('Patient.link:a'),
      ),
    ],
    /the discriminator value other\.resolve\(\)\.id is not supported/,
  ],
  [
    'a discriminator that finds nothing',
    [profileOf('Patient', many('Patient.name', { slicing: slicing('value', 'use') }), one('Patient.name:official'))],
    /the discriminator use finds nothing in name:official/,
  ],
  [
    'a least value',
    [profileOf('Patient', many('Patient.multipleBirth[x]', { minValueInteger: 1 }))],
    /minValueInteger is not supported/,
  ],
  [
    'a url twice',
    [profileOf('Patient', one('Patient.name')), profileOf('Patient', one('Patient.photo'))],
    /given twice/,
  ],
  [
    'a value set by a filter',
    [
      profileOf(
        'Patient',
        many('Patient.language', { binding: { strength: 'required', valueSet: 'http://example.com/set' } }),
      ),
      {
        resourceType: 'ValueSet',
        url: 'http://example.com/set',
        compose: { include: [{ system: 'urn:ietf:bcp:47', filter: [{ property: 'a', op: '=', value: 'b' }] }] },
      },
    ],
    /name them under unchecked: http:\/\/example\.com\/set\./,
  ],
];

for (const [what, documents, detail] of UNUSABLE)
  test(`[A5] a profile with ${what} keeps the gateway from starting`, () => {
    assert.throws(() => profiles(documents), refusal(detail));
  });

test('[A5] files that apply to a type hold one profile of it', () => {
  assert.throws(() => profiles([], { appliesTo: 'Patient' }), refusal(/^Patient: .* not 0\.$/));
});
