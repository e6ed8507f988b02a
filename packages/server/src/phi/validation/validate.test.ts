/** What R4 itself demands: each rule with a resource that breaks it, and the official examples, which break none but those named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, property, stringMatching } from 'fast-check';
import type { Json } from '@keyward/sdk/seal';
import { parseJson } from '../../core/index.ts';
import { typeNames } from '../structure.ts';
import { exampleNames, readExample } from '../test-support.ts';
import type { FhirResource } from '../types.ts';
import { rulesOf, type TypeRules } from './rules.ts';
import { validateResource } from './validate.ts';
import { describeViolations, MAX_VIOLATIONS } from './violations.ts';

const told = (resource: FhirResource, names: Readonly<Record<string, string>> = {}): string =>
  describeViolations(validateResource(resource, (name) => names[name]));

const patient = (members: { readonly [name: string]: Json }): FhirResource => ({ resourceType: 'Patient', ...members });
const code = { text: 'weight' };
const observation = (members: { readonly [name: string]: Json }): FhirResource => ({
  resourceType: 'Observation',
  status: 'final',
  code,
  ...members,
});
const contained = (members: { readonly [name: string]: Json }): FhirResource =>
  patient({ contained: [{ resourceType: 'Organization', id: 'o', name: 'North', ...members }] });
const local = { managingOrganization: { reference: '#o' } };
const parsed = (text: string): Json => parseJson(Buffer.from(text));

const BROKEN: readonly (readonly [what: string, resource: FhirResource, expected: string])[] = [
  ['a missing element', { resourceType: 'Observation', code }, 'Observation.status must be there.'],
  [
    'a missing element of a part',
    patient({ link: [{ other: { reference: 'Patient/2' } }] }),
    'Patient.link[0].type must be there.',
  ],
  ['a code that is none', patient({ gender: 'lady' }), 'Patient.gender must be a code of administrative-gender.'],
  [
    'a concept without a code of the set',
    {
      resourceType: 'AllergyIntolerance',
      patient: { reference: 'Patient/1' },
      clinicalStatus: { coding: [{ system: 'http://example.com', code: 'active' }] },
    },
    'AllergyIntolerance.clinicalStatus must be a code of allergyintolerance-clinical.',
  ],
  [
    'a concept of text only',
    { resourceType: 'AllergyIntolerance', patient: { reference: 'Patient/1' }, clinicalStatus: { text: 'active' } },
    'AllergyIntolerance.clinicalStatus must be a code of allergyintolerance-clinical.',
  ],
  [
    'a media type that is none',
    patient({ photo: [{ contentType: 'a picture' }] }),
    'Patient.photo[0].contentType must be a code of mimetypes.',
  ],
  [
    'a currency that is none',
    { resourceType: 'Invoice', status: 'draft', totalNet: { value: 1, currency: 'euro' } },
    'Invoice.totalNet.currency must be a code of currencies.',
  ],
  [
    'two types of one choice',
    patient({ deceasedBoolean: true, deceasedDateTime: '2020' }),
    'Patient.deceased[x] must have one type only.',
  ],
  [
    'two types of one choice, one of them only beside',
    patient({ deceasedBoolean: true, _deceasedDateTime: { id: 'a' } }),
    'Patient.deceased[x] must have one type only.',
  ],
  ['a date that is none', patient({ birthDate: '1970-13-01' }), 'Patient.birthDate must be a legal date.'],
  [
    'a date that is none, in a type that is not sealed',
    { resourceType: 'Practitioner', birthDate: 'in spring' },
    'Practitioner.birthDate must be a legal date.',
  ],
  [
    'a number with a fraction',
    patient({ multipleBirthInteger: 1.5 }),
    'Patient.multipleBirthInteger must be a legal integer.',
  ],
  [
    'a number with a fraction of nothing',
    patient({ multipleBirthInteger: parsed('1.0') }),
    'Patient.multipleBirthInteger must be a legal integer.',
  ],
  [
    'a number of more than 32 bits',
    patient({ multipleBirthInteger: 2 ** 31 }),
    'Patient.multipleBirthInteger must be a legal integer.',
  ],
  [
    'no rank at all',
    patient({ telecom: [{ system: 'phone', value: '1', rank: 0 }] }),
    'Patient.telecom[0].rank must be a legal positiveInt.',
  ],
  ['an empty text', patient({ name: [{ family: '' }] }), 'Patient.name[0].family must be a legal string.'],
  [
    'a control character',
    patient({ name: [{ family: 'a\u0000b' }] }),
    'Patient.name[0].family must be a legal string.',
  ],
  ['a text for a truth', patient({ active: 'yes' }), 'Patient.active must be a legal boolean.'],
  ['a null', patient({ active: null }), 'Patient.active must be a legal boolean.'],
  [
    'a narrative that is no division',
    patient({ text: { status: 'generated', div: '<p>a</p>' } }),
    'Patient.text.div must be a legal xhtml.',
  ],
  ['an unknown member', patient({ 'Ann Doe': 1 }), 'Patient must have no member that R4 does not define.'],
  ['an empty object', patient({ maritalStatus: {} }), 'Patient.maritalStatus must not be empty.'],
  ['an empty list', patient({ name: [] }), 'Patient.name must not be empty.'],
  ['one that must be many', patient({ name: { family: 'A' } }), 'Patient.name must be a list.'],
  ['many that must be one', patient({ maritalStatus: [code] }), 'Patient.maritalStatus must be an object.'],
  ['a null in a list of objects', patient({ name: [null] }), 'Patient.name[0] must not be empty.'],
  [
    'a null in a list of values with nothing beside it',
    patient({ name: [{ given: ['A', null] }] }),
    'Patient.name[0].given[1] must not be empty.',
  ],
  [
    'a reference to another type',
    observation({ subject: { reference: 'Practitioner/1' } }),
    'Observation.subject must refer to Patient or Group or Device or Location.',
  ],
  [
    'the same as an address',
    observation({ subject: { reference: 'https://example.com/fhir/Practitioner/1/_history/2' } }),
    'Observation.subject must refer to Patient or Group or Device or Location.',
  ],
  [
    'a conditional reference to another type',
    observation({ subject: { reference: 'Practitioner?identifier=1' } }),
    'Observation.subject must refer to Patient or Group or Device or Location.',
  ],
  [
    'a reference to another type by its name in the bundle',
    observation({ subject: { reference: 'urn:uuid:1' } }),
    'Observation.subject must refer to Patient or Group or Device or Location.',
  ],
  [
    'a logical reference to another type',
    observation({ subject: { type: 'Practitioner', identifier: { value: '1' } } }),
    'Observation.subject must refer to Patient or Group or Device or Location.',
  ],
  [
    'a contained resource of another type',
    { ...contained({}), generalPractitioner: [{ reference: '#o' }], managingOrganization: { reference: '#' } },
    'Patient.managingOrganization must refer to Organization.',
  ],
  [
    'a name of nothing contained',
    patient(local),
    'Patient.managingOrganization must name a contained resource (ref-1).',
  ],
  [
    'a resource in a contained one',
    { ...contained({ contained: [{ resourceType: 'Basic', code }] }), ...local },
    'Patient.contained[0] must not contain another resource (dom-2).',
  ],
  [
    'a version of a contained resource',
    { ...contained({ meta: { versionId: '1' } }), ...local },
    'Patient.contained[0] must not have a version or a time of its own (dom-4).',
  ],
  [
    'a security label of a contained resource',
    { ...contained({ meta: { security: [{ code: 'R' }] } }), ...local },
    'Patient.contained[0] must not have a security label (dom-5).',
  ],
  [
    'a contained thing that is no resource',
    patient({ contained: [{ a: 1 }] }),
    'Patient.contained[0] must be a resource of R4.',
  ],
  [
    'a comparator where there is none',
    observation({ referenceRange: [{ low: { value: 1, comparator: '<' } }] }),
    'Observation.referenceRange[0].low must have no comparator.',
  ],
  [
    'an extension with a value and parts',
    patient({ extension: [{ url: 'http://e', valueCode: 'a', extension: [{ url: 'b', valueCode: 'c' }] }] }),
    'Patient.extension[0] must satisfy ext-1.',
  ],
  [
    'an extension with neither, beside a primitive',
    patient({ birthDate: '1970', _birthDate: { extension: [{ url: 'http://e' }] } }),
    'Patient.birthDate.extension[0] must satisfy ext-1.',
  ],
  ['an extension without url', patient({ extension: [{ valueCode: 'a' }] }), 'Patient.extension[0].url must be there.'],
  [
    'a rule on what is there together',
    observation({ valueString: 'a', dataAbsentReason: { text: 'b' } }),
    'Observation must satisfy obs-6.',
  ],
  ['a telecom of no system', patient({ telecom: [{ value: '1' }] }), 'Patient.telecom[0] must satisfy cpt-2.'],
  [
    'an organization without a name',
    { resourceType: 'Organization', active: true },
    'Organization must satisfy org-1.',
  ],
];

const NAMES = { '': 'Practitioner', 'urn:uuid:1': 'Practitioner', 'urn:uuid:2': 'Patient' };

for (const [what, resource, expected] of BROKEN)
  test(`[A5] ${what} is refused, with its place`, () => assert.equal(told(resource, NAMES), expected));

const SOUND: readonly (readonly [what: string, resource: FhirResource])[] = [
  [
    'an element that only says why it is absent',
    { resourceType: 'Observation', code, _status: { extension: [{ url: 'http://e', valueCode: 'unknown' }] } },
  ],
  ['a null with something beside it', patient({ name: [{ given: ['A', null], _given: [null, { id: 'b' }] }] })],
  ['a choice with what stands beside it', patient({ deceasedDateTime: '2020', _deceasedDateTime: { id: 'a' } })],
  ['a name of another entry', observation({ subject: { reference: 'urn:uuid:2' } })],
  ['a reference that only displays', observation({ subject: { display: 'A' } })],
  ['a name nobody knows', observation({ subject: { reference: 'urn:uuid:3' } })],
  ['a contained resource that names its container', { ...contained({ partOf: { reference: '#o' } }), ...local }],
  ['a decimal with its digits', observation({ valueQuantity: { value: parsed('1.50'), unit: 'kg' } })],
];

for (const [what, resource] of SOUND) test(`[A5] ${what} is accepted`, () => assert.equal(told(resource, NAMES), ''));

test('[A5] many violations are told at once, and no more than the limit', () => {
  const many = patient({ name: Array.from({ length: 50 }, () => ({ family: '' })) });
  const violations = validateResource(many);
  assert.equal(violations.length, MAX_VIOLATIONS);
  assert.equal(violations[1]?.path, 'Patient.name[1].family');
});

test('[A5] what is told of a violation holds nothing that was sent', () => {
  const secret = stringMatching(/^[a-z]{12}Zq$/);
  check(
    property(secret, (word) => {
      const resource = patient({
        [word]: word,
        gender: word,
        birthDate: word,
        active: word,
        name: word,
        managingOrganization: { reference: `#${word}` },
        contained: [{ resourceType: word }],
        text: { status: word, div: word },
      });
      const text = told(resource);
      assert.ok(!text.includes(word) && text.length > 0);
    }),
  );
});

/** Official examples that break R4's own rules, and by which. */
const INVALID: Readonly<Record<string, RegExp>> = {
  'DeviceMetric-example.json': /^DeviceMetric\.parent must refer to Device\.$/,
  'DeviceUseStatement-example.json': /^DeviceUseStatement\.reasonReference\[0\] must refer to /,
  'ImplementationGuide-fhir.json':
    /^ImplementationGuide\.name must be there\. ImplementationGuide\.status must be there\.$/,
  'MedicationRequest-medrx0301.json': /^MedicationRequest\.dispenseRequest\.performer must refer to Organization\.$/,
  'Observation-clinical-gender.json': /^Observation\.performer\[0\] must refer to /,
  'Questionnaire-qs1.json': /^(Questionnaire(\.item\[\d+\])+\.linkId must be there\. ?)+$/,
  'SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json':
    /^SearchParameter\.id must be a legal id\.$/,
};
/** Ten search parameters on extensions of code systems and value sets have no base. */
const WITHOUT_BASE = /^SearchParameter-(codesystem|valueset)-extensions-\w+-\w+\.json$/;

test('[A5] every official example is valid, but for those that break the rules R4 publishes with them', () => {
  const names = exampleNames(process.env['KEYWARD_TEST_ALL'] !== undefined);
  const all = [...new Set([...names, ...Object.keys(INVALID)])];
  assert.ok(all.length > 600);
  for (const name of all) {
    const expected = INVALID[name] ?? (WITHOUT_BASE.test(name) ? /^SearchParameter\.base must be there\.$/ : /^$/);
    assert.match(told(readExample(name)), expected, name);
  }
});

const required = (resource: FhirResource): string[] => {
  const { members, required: bits } = rulesOf(resource.resourceType) as TypeRules;
  return Object.keys(resource).filter((name) => ((members.get(name)?.bit ?? 0) & bits) !== 0);
};

test('[A5] an example without one of its required elements is refused, with its path', () => {
  const examples = exampleNames(false)
    .filter((name) => !(name in INVALID) && !WITHOUT_BASE.test(name))
    .map(readExample);
  let removed = 0;
  for (const example of examples) {
    for (const name of required(example)) {
      const { [name]: _removed, [`_${name}`]: _beside, ...rest } = example;
      const paths = validateResource(rest as FhirResource).map(({ path }) => path);
      assert.ok(
        paths.some((path) => `${example.resourceType}.${name}`.startsWith(path)),
        `${example.resourceType}.${name}`,
      );
      removed++;
    }
  }
  assert.ok(removed > 500);
});

test('[A5] every rule of the tables compiles, and no type needs more than the bits of a number', () => {
  let rules = 0;
  for (const type of typeNames()) {
    const { members, presence, requiredStems } = rulesOf(type) as TypeRules;
    const bits = [...members.values()].map(({ bit }) => bit);
    assert.ok(Math.max(...bits) < 2 ** 31 && Math.min(...bits) >= 0, type);
    const names = new Set([...members.values()].map(({ element }) => element.stem));
    for (const stem of requiredStems.map(([, name]) => name)) assert.ok(names.has(stem), type);
    for (const [name, member] of members)
      assert.equal(member.setName === '' || member.set !== undefined, true, `${type}.${name}`);
    rules += presence.length;
  }
  assert.ok(rules > 60);
});
