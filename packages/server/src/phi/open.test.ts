/** Opening what a hostile upstream may have touched, and what readers see who may not see all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Json } from '@keyward/sdk/seal';
import { type Disclosure, type FhirResource, holdsUnsealed, isSubsetted, planOpen } from './index.ts';
import { open, OWN, ROOT, seal, withhold } from './test-support.ts';

const PATIENT: FhirResource = {
  resourceType: 'Patient',
  id: 'a1',
  meta: { tag: [{ system: 'http://example.org', code: 'demo' }] },
  text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">Peter</div>' },
  identifier: [{ system: 'http://hospital.example/mrn', value: '12345' }],
  name: [{ family: 'Chalmers', given: ['Peter', 'James'], text: 'Peter Chalmers' }],
  telecom: [{ system: 'phone', value: '555 1234' }],
  birthDate: '1974-12-25',
  photo: [{ contentType: 'image/png', data: 'aGVsbG8=' }],
};
const { sealed: SEALED, vault: VAULT } = seal(PATIENT);

const MASKED = {
  extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'masked' }],
};

type Edits = Readonly<Record<string, Json | undefined>>;

/** The sealed patient after the upstream replaced what these paths name (`name.0.text`); undefined removes it. */
function tampered(edits: Edits): FhirResource {
  const draft = structuredClone(SEALED);
  for (const [path, value] of Object.entries(edits)) {
    const steps = path.split('.');
    const owner = at(draft, steps.slice(0, -1)) as object;
    if (value === undefined) Reflect.deleteProperty(owner, steps.at(-1) ?? '');
    else Reflect.set(owner, steps.at(-1) ?? '', value);
  }
  return draft;
}

const at = (value: Json, steps: readonly string[]): Json =>
  steps.reduce<Json>((part, step) => (part as { readonly [name: string]: Json })[step] ?? null, value);
const sealedAt = (path: string): Json => at(SEALED, path.split('.'));

const FAMILY_MARK = 'name.0._family.extension.0';
const MARK: Json = { url: 'urn:keyward:sealed', valueString: 'kw1.a' };
const ROOT_MARK = sealedAt('extension.0');

const TAMPERED: readonly (readonly [string, Edits])[] = [
  ['plaintext in the place of a ciphertext', { 'name.0.text': 'Mallory' }],
  ['an index without its ciphertext', { 'name.0._family': undefined }],
  ['a ciphertext that is no token', { [`${FAMILY_MARK}.valueString`]: 'x' }],
  ['a ciphertext of another type', { [`${FAMILY_MARK}.valueString`]: { a: 1 } }],
  ['two ciphertexts', { 'name.0._family.extension': [MARK, MARK] }],
  ['a ciphertext beside one in place', { 'name.0._text': { extension: [MARK] } }],
  ['a token in an element that is clear', { gender: 'kw1.token_0' }],
  ['an index in an element that is clear', { gender: sealedAt('name.0.family') }],
  ['a token beside an element that is clear', { _gender: { extension: [MARK] } }],
  ['a token as an extension of the resource', { extension: [ROOT_MARK, MARK] }],
  ['a full date where the year was', { birthDate: '1974-01-01', _birthDate: undefined }],
  ['two roots', { extension: [ROOT_MARK, ROOT_MARK] }],
  ['no root', { extension: undefined }],
  ['a root without scope', { 'extension.0.extension': [] }],
  ['a root of another shape', { 'extension.0.extension': { a: 1 } }],
  ['a root in another place', { 'name.0.extension': [ROOT_MARK] }],
  ['markup around the ciphertext of a narrative', { 'text.div': '<div><b>x</b></div>' }],
  ['data in the place of encrypted data', { 'photo.0.data': 'aGVsbG8=' }],
  ['a string for an object', { name: ['x'] }],
  ['an object for a string', { 'name.0.family': { a: 1 } }],
  ['an object for a list', { name: { a: 1 } }],
  ['null', { birthDate: null }],
  ['a companion that is no object', { _birthDate: 'x' }],
];

for (const [what, edits] of TAMPERED) {
  test(`[E1] ${what} is not authentic`, () => {
    assert.throws(() => planOpen(tampered(edits), OWN), { code: /SEAL_NOT_AUTHENTIC|GATEWAY_UPSTREAM_INVALID/ });
  });
}

test('[E1] whatever a hostile upstream sends ends in a coded error or shows no token and no index', () => {
  const json = fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as Json);
  const paths = '|name.|name.0.|name.0._family.|identifier.0.|extension.0.|meta.|text.|photo.0.'.split('|');
  const members = 'family _family given _given value extension url text div data meta id contained gender'.split(' ');
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.constantFrom(...members), json, (path, name, value) => {
      const received = tampered({ [path + name]: value });
      try {
        assert.doesNotMatch(JSON.stringify(withhold(received)), /kw1\.|kwi1|urn:keyward/);
      } catch (error) {
        assert.match((error as { code?: string }).code ?? '', /^(SEAL_NOT_AUTHENTIC|GATEWAY_UPSTREAM_INVALID)$/);
      }
    }),
    { numRuns: 500 },
  );
});

test('[E1] the path and class of a site come from the definitions, so a token moved to another place names that place', () => {
  const moved = tampered({ 'name.0.text': sealedAt(`${FAMILY_MARK}.valueString`) });
  const paths = planOpen(moved, OWN)
    .sites.filter(({ token }) => token === 'kw1.token_2')
    .map(({ path }) => path);
  assert.deepEqual(paths, ['Patient.name.family', 'Patient.name.text']);
});

test('[E1] sites come back with the path, datatype and class they were sealed under', () => {
  const frame = (site: { path: string; datatype: string; fieldClass: string }) => [
    site.path,
    site.datatype,
    site.fieldClass,
  ];
  assert.deepEqual(planOpen(SEALED, OWN).sites.map(frame), seal(PATIENT).sites.map(frame));
  assert.deepEqual(planOpen(SEALED, OWN).root, ROOT);
});

test('[E1] members that the upstream adds to what it stores are not passed on', () => {
  const received = tampered({ 'meta.versionId': '3', 'meta.project': 'x', unheardOf: 'x' });
  const opened = open(received, VAULT);
  assert.deepEqual(opened, { ...PATIENT, meta: { ...(PATIENT['meta'] as object), versionId: '3' } });
});

test('[A4] what is withheld leaves a reason, birth dates their year, and the resource is tagged as partial', () => {
  assert.deepEqual(withhold(SEALED), {
    ...PATIENT,
    meta: {
      tag: [
        { system: 'http://example.org', code: 'demo' },
        { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' },
      ],
    },
    text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml"><p>Withheld.</p></div>' },
    identifier: [{ system: 'http://hospital.example/mrn', _value: MASKED }],
    name: [{ _family: MASKED, _given: [MASKED, MASKED], _text: MASKED }],
    telecom: [{ system: 'phone', _value: MASKED }],
    birthDate: '1974',
    photo: [{ contentType: 'image/png', _data: MASKED }],
  });
});

test('[A4] what is withheld does not show more than a year, whatever the upstream put there', () => {
  const { birthDate, _birthDate } = withhold(tampered({ birthDate: '1974-12-25' }));
  assert.deepEqual([birthDate, _birthDate], [undefined, MASKED]);
});

test('[A4] a masked text is shown; where a mask would not be legal FHIR the value is withheld', () => {
  const plan = planOpen(SEALED, OWN);
  const opened = plan.apply(plan.sites.map((): Disclosure => ({ kind: 'mask', value: '••••' })));
  assert.deepEqual(opened['name'], [{ family: '••••', given: ['••••', '••••'], text: '••••' }]);
  assert.equal(opened['birthDate'], '1974');
  assert.deepEqual(opened['photo'], [{ contentType: 'image/png', _data: MASKED }]);
});

test('[A4] a full view is not tagged, a partial one is, and the tag is not set twice', () => {
  assert.equal(isSubsetted(open(SEALED, VAULT)), false);
  const partial = withhold(SEALED);
  assert.equal(isSubsetted(partial), true);
  const again = withhold(tampered({ 'meta.tag': [{ code: 'SUBSETTED' }] }));
  assert.deepEqual((again['meta'] as { tag: Json }).tag, [{ code: 'SUBSETTED' }]);
});

test('[E1] a resource that was never sealed has no root, passes as it is, and can be recognised', () => {
  assert.equal(planOpen(PATIENT, OWN).root, undefined);
  assert.deepEqual(planOpen(PATIENT, OWN).apply([]), PATIENT);
  assert.equal(holdsUnsealed(PATIENT, OWN), true);
  assert.equal(holdsUnsealed(SEALED, OWN), false);
  assert.equal(holdsUnsealed({ resourceType: 'Organization', name: 'Acme' }, OWN), false);
  const container: FhirResource = { resourceType: 'Organization', contained: [PATIENT] };
  assert.deepEqual(planOpen(container, OWN).apply([]), container);
  assert.equal(holdsUnsealed(container, OWN), true);
});

test('[E1] decisions that do not fit the sites are a fault of ours, not a partial view', () => {
  assert.throws(() => planOpen(SEALED, OWN).apply([]), { code: 'CORE_INTERNAL' });
});
