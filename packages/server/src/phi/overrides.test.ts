/** Overrides of what is sealed: which lines are refused, what a line changes, and that records of before still open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createCatalogue,
  type FhirResource,
  holdsUnsealed,
  parseOverrides,
  planOpen,
  planSeal,
  searchTarget,
} from './index.ts';
import { NOW, open, OWN, ROOT, seal, withhold } from './test-support.ts';

const overridesOf = (lines: string) => parseOverrides(`version: 1\n${lines}`);
const catalogueOf = (lines: string) => createCatalogue(overridesOf(lines));
const elements = (...lines: string[]) => `elements:\n${lines.map((line) => `  ${line}\n`).join('')}`;

const RACE = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-race';
const PATIENT: FhirResource = {
  resourceType: 'Patient',
  meta: { tag: [{ system: 'urn:tags', code: 'ward', display: 'Ward' }] },
  extension: [{ url: RACE, extension: [{ url: 'text', valueString: 'White' }] }],
  identifier: [{ system: 'urn:mrn', value: 'MRN-1' }],
  name: [{ family: 'Chalmers', given: ['Peter'] }],
  birthDate: '1931-05-12',
  address: [{ city: 'Boston', state: 'MA', postalCode: '02134' }],
  maritalStatus: { coding: [{ system: 'urn:m', code: 'M', display: 'Married' }] },
};
const PRACTITIONER: FhirResource = {
  resourceType: 'Practitioner',
  identifier: [{ system: 'urn:npi', value: '12345' }],
  name: [{ family: 'Careful', given: ['Adam'] }],
};

/** Line, and what its error says. */
const REFUSED: readonly (readonly [lines: string, code: string, detail: RegExp])[] = [
  ['colour: blue', 'SEAL_OVERRIDES_INVALID', /colour/],
  ['types: { Nope: { sealed: true } }', 'SEAL_OVERRIDES_INVALID', /types\.Nope is no resource type/],
  ['types: { Device: { sealed: false } }', 'SEAL_OVERRIDES_INVALID', /types\.Device/],
  ['types: { Patient: { sealed: false, reason: test } }', 'SEAL_OVERRIDES_INVALID', /types\.Patient is always sealed/],
  ['hideYearAboveAge: 95', 'SEAL_OVERRIDES_INVALID', /hideYearAboveAge/],
  [
    elements('Patient.name.familly: { treatment: seal, class: name }'),
    'SEAL_OVERRIDES_INVALID',
    /familly is no element of R4/,
  ],
  [elements('Patient.name.text: { treatment: clear }'), 'SEAL_OVERRIDES_INVALID', /elements\.Patient\.name\.text/],
  [elements('Patient.name.text: { treatment: clear, reason: " " }'), 'SEAL_OVERRIDES_INVALID', /Patient\.name\.text/],
  [elements('Patient.name.text: { treatment: seal }'), 'SEAL_OVERRIDES_INVALID', /Patient\.name\.text/],
  [elements('Patient.name.text: { treatment: seal, class: colour }'), 'SEAL_OVERRIDES_INVALID', /Patient\.name\.text/],
  [
    elements('Patient.birthDate: { treatment: seal, class: name }'),
    'SEAL_OVERRIDES_INVALID',
    /birthDate is of type date/,
  ],
  [elements('Patient.gender: { treatment: seal, class: name }'), 'SEAL_OVERRIDES_INVALID', /gender is of type code/],
  [elements('Patient.address: { treatment: seal, class: address }'), 'SEAL_OVERRIDES_INVALID', /name one of its parts/],
  [
    elements('Patient.extension.valueString: { treatment: omit, class: name }'),
    'SEAL_OVERRIDES_INVALID',
    /under extensions/,
  ],
  [elements('Patient.contained.id: { treatment: omit, class: name }'), 'SEAL_OVERRIDES_INVALID', /another resource/],
  [elements('Patient.meta.tag.code: { treatment: omit, class: name }'), 'SEAL_OVERRIDES_INVALID', /in meta/],
  [elements('Patient.id: { treatment: omit, class: name }'), 'SEAL_OVERRIDES_INVALID', /stays as it is/],
  [elements('Reference.reference: { treatment: seal, class: name }'), 'SEAL_OVERRIDES_INVALID', /stays as it is/],
  [elements('Coding.code: { treatment: omit, class: name }'), 'SEAL_OVERRIDES_INVALID', /stands everywhere/],
  [elements('HumanName.period.start: { treatment: omit, class: name }'), 'SEAL_OVERRIDES_INVALID', /one element only/],
  [elements('Patient.telecom.value: { treatment: "index:phone" }'), 'SEAL_OVERRIDES_INVALID', /by itself/],
  [
    `extensions: { "${RACE}": { values: { code: { treatment: omit, class: name } } } }`,
    'SEAL_OVERRIDES_INVALID',
    /no value of an extension/,
  ],
  [
    elements('Patient.gender: { treatment: "index:city" }'),
    'SEAL_INDEX_REFUSED',
    /elements\.Patient\.gender has few values/,
  ],
  [elements('Patient.deceasedBoolean: { treatment: "index:city" }'), 'SEAL_INDEX_REFUSED', /few values/],
  [elements('Patient.maritalStatus: { treatment: "index:city" }'), 'SEAL_INDEX_REFUSED', /few values/],
  [elements('Address.state: { treatment: "index:city" }'), 'SEAL_INDEX_REFUSED', /few values/],
  [elements('Patient.address.country: { treatment: "index:city" }'), 'SEAL_INDEX_REFUSED', /few values/],
];

for (const [lines, code, detail] of REFUSED) {
  test(`[E7] an overrides file is refused, its line named: ${lines.trim().replaceAll(/\s+/g, ' ')}`, () => {
    assert.throws(() => overridesOf(lines), { code, detail });
  });
}

test('[E1] all faults of a file are told at once', () => {
  const lines = elements(
    'Patient.nam: { treatment: omit, class: name }',
    'Patient.gendre: { treatment: omit, class: name }',
  );
  assert.throws(() => overridesOf(lines), { detail: /Patient\.nam .*Patient\.gendre / });
});

/** Lines, a resource, a value that must not be seen any more, and how it comes back. */
const SEALED_BY: readonly (readonly [what: string, lines: string, resource: FhirResource, gone: string])[] = [
  ['an element by its path', elements('Patient.address.state: { treatment: seal, class: address }'), PATIENT, 'MA'],
  ['an element of a datatype', elements('Address.state: { treatment: omit, class: address }'), PATIENT, 'MA'],
  [
    'a code by its path',
    elements('Patient.maritalStatus.coding.code: { treatment: omit, class: freeText }'),
    PATIENT,
    'M',
  ],
  ['a year of birth', elements('Patient.birthDate: { treatment: omit, class: birthDate }'), PATIENT, '1931'],
  ['a type', 'types: { Practitioner: { sealed: true } }', PRACTITIONER, '12345'],
  [
    'one element of a clear type',
    elements("Practitioner.name.family: { treatment: 'index:family' }"),
    PRACTITIONER,
    'Careful',
  ],
  [
    'identifiers of a clear type',
    elements("Practitioner.identifier.value: { treatment: 'index:identifier' }"),
    PRACTITIONER,
    '12345',
  ],
];

const leaves = (value: unknown): unknown[] =>
  typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [value];

for (const [what, lines, resource, gone] of SEALED_BY) {
  test(`[E1] an override seals ${what}, and it comes back`, () => {
    const catalogue = catalogueOf(lines);
    assert.ok(leaves(seal(resource).sealed).includes(gone));
    const { sealed, vault } = seal(resource, catalogue);
    assert.ok(!leaves(sealed).includes(gone));
    assert.deepEqual(open(sealed, vault, catalogue), resource);
    assert.ok(!leaves(withhold(sealed, catalogue)).includes(gone));
  });
}

test('[E1] an extension is overridden by its url, its parts by theirs', () => {
  const line = `extensions: { "${RACE}": { parts: { text: { values: { valueString: { treatment: clear, reason: coarse } } } } } }`;
  assert.ok(!leaves(seal(PATIENT).sealed).includes('White'));
  assert.ok(leaves(seal(PATIENT, catalogueOf(line)).sealed).includes('White'));
  const elsewhere = {
    ...PATIENT,
    extension: [{ url: 'urn:other', extension: [{ url: 'text', valueString: 'White' }] }],
  };
  assert.ok(!leaves(seal(elsewhere, catalogueOf(line)).sealed).includes('White'));
});

test('[E1] a rule for a backbone element holds in every one of them, also inside each other', () => {
  const catalogue = catalogueOf(elements('Composition.section.code.coding.display: { treatment: seal, class: label }'));
  const section = (display: string) => ({ code: { coding: [{ display }] } });
  const resource = { resourceType: 'Composition', section: [{ ...section('Outer'), section: [section('Inner')] }] };
  const shown = leaves(seal(resource, catalogue).sealed);
  assert.deepEqual([shown.includes('Outer'), shown.includes('Inner')], [false, false]);
});

test('[E1] no override reaches meta, which upstreams carry from version to version', () => {
  const catalogue = catalogueOf(elements('Coding.display: { treatment: seal, class: label }'));
  const { sealed } = seal(PATIENT, catalogue);
  assert.deepEqual(sealed['meta'], PATIENT['meta']);
  assert.ok(!leaves(sealed).includes('Married'));
});

test('[E7] what is overridden is searched by what is left of it', () => {
  const kind = (lines: string, type: string, code: string) => searchTarget(type, code, catalogueOf(lines))?.kind;
  const family = (treatment: string) => elements(`Practitioner.name.family: { treatment: ${treatment} }`);
  const own = (type: string, code: string) => searchTarget(type, code, OWN)?.kind;
  assert.deepEqual([own('Practitioner', 'family'), own('Practitioner', 'name')], ['clear', 'clear']);
  assert.equal(kind(family("'index:family'"), 'Practitioner', 'family'), 'blind-string');
  assert.equal(kind(family('seal, class: name'), 'Practitioner', 'family'), 'refused');
  // One search would find given names in clear and miss the family names.
  assert.equal(kind(family("'index:family'"), 'Practitioner', 'name'), 'refused');
  assert.equal(kind('types: { Practitioner: { sealed: true } }', 'Practitioner', 'name'), 'blind-string');
  const codes = elements('Condition.code.coding.code: { treatment: omit, class: freeText }');
  assert.deepEqual([own('Condition', 'code'), kind(codes, 'Condition', 'code')], ['clear', 'refused']);
  assert.equal(kind(codes, 'Condition', 'clinical-status'), 'clear');
  assert.equal(
    kind(elements('Patient.birthDate: { treatment: omit, class: birthDate }'), 'Patient', 'birthdate'),
    'refused',
  );
  assert.equal(
    kind(elements('Patient.address.city: { treatment: clear, reason: large towns }'), 'Patient', 'address-city'),
    'clear',
  );
});

const yearOf = (birthDate: string, now: string, lines = 'hideYearAboveAge: 89') =>
  seal({ resourceType: 'Patient', birthDate }, catalogueOf(lines), new Date(now)).sealed['birthDate'];

test('[A4] nobody over the age limit shows a year of birth (45 CFR 164.514(b)(2)(i)(C))', () => {
  assert.equal(yearOf('1936-01-16', '2026-01-15T12:00:00Z'), '1936');
  assert.equal(yearOf('1936-01-15', '2026-01-15T12:00:00Z'), undefined);
  assert.equal(yearOf('1920', '2026-01-15T12:00:00Z'), undefined);
  // Of an incomplete date the oldest reading counts.
  assert.equal(yearOf('1936', '2026-01-15T12:00:00Z'), undefined);
  assert.equal(yearOf('1936-02', '2026-01-15T12:00:00Z'), '1936');
  assert.equal(yearOf('1937', '2026-01-15T12:00:00Z'), '1937');
  assert.equal(yearOf('1920', '2026-01-15T12:00:00Z', ''), '1920');
});

test('[A4] a birth date without its year comes back whole', () => {
  const catalogue = catalogueOf('hideYearAboveAge: 89');
  const { sealed, vault } = seal(PATIENT, catalogue);
  assert.ok(!JSON.stringify(sealed).includes('1931'));
  assert.deepEqual(open(sealed, vault, catalogue), PATIENT);
});

test('[E1] the name of a catalogue is that of its content: not of reasons, order or layout', () => {
  const line = 'Patient.address.state: { treatment: seal, class: address }';
  const other = 'Address.country: { treatment: seal, class: address }';
  const version = (lines: string) => catalogueOf(lines).version;
  assert.equal(version(elements(line, other)), version(elements(other, line.replace('}', ', reason: test }'))));
  assert.notEqual(version(elements(line)), version(elements(line, other)));
  assert.equal(version(''), OWN.version);
  assert.match(OWN.version, /^[0-9a-f]{12}$/);
});

test('[E1] a record opens by the catalogue it was sealed under, as long as that is configured', () => {
  const before = overridesOf(elements('Patient.address.state: { treatment: seal, class: address }'));
  const after = overridesOf(elements('Patient.address.country: { treatment: seal, class: address }'));
  const { sealed, vault } = seal(PATIENT, createCatalogue(before));
  assert.deepEqual(open(sealed, vault, createCatalogue(after, [before])), PATIENT);
  assert.throws(() => planOpen(sealed, createCatalogue(after)), {
    code: 'GATEWAY_CATALOGUE_UNKNOWN',
    detail: `Catalogue ${createCatalogue(before).version}.`,
  });
});

test("[E1] what was sealed by Keyward's own rules, or before there were catalogues, opens under any overrides", () => {
  const catalogue = catalogueOf('types: { Practitioner: { sealed: true } }');
  const plan = planSeal(PATIENT, OWN);
  const tokens = plan.sites.map(({ terms }, number) => ({
    token: `kw1.t${number}`,
    indexes: terms.map(() => 'kwi1x'),
  }));
  for (const policy of ['3f2a', `3f2a.${OWN.version}`]) {
    const sealed = plan.apply(tokens, { ...ROOT, policy }, NOW);
    assert.equal(planOpen(sealed, catalogue).sites.length, plan.sites.length, policy);
  }
});

test('[E1] a type that is sealed from now on stands in clear only where an earlier catalogue left it so', () => {
  const sealing = overridesOf('types: { Practitioner: { sealed: true } }');
  assert.equal(holdsUnsealed(PRACTITIONER, OWN), false);
  assert.equal(holdsUnsealed(PRACTITIONER, createCatalogue(sealing)), true);
  assert.equal(holdsUnsealed(PRACTITIONER, createCatalogue(sealing, [overridesOf('')])), false);
  // An override that leaves a name clear is no way around the seal of its type.
  const lenient = overridesOf(elements('HumanName.family: { treatment: clear, reason: test }'));
  const named = { resourceType: 'Patient', name: [{ family: 'Chalmers' }] };
  assert.equal(holdsUnsealed(named, createCatalogue(undefined, [lenient])), true);
});
