/** Beginnings of names: which are indexed, where they stand, and that opening leaves none of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  createCatalogue,
  type FhirResource,
  parseOverrides,
  planOpen,
  planSeal,
  termsToShow,
  visibleTerms,
} from './index.ts';
import { NOW, open, OWN, seal, withhold } from './test-support.ts';

const BOTH = createCatalogue(undefined, [], ['family', 'given']);
const FAMILY = createCatalogue(undefined, [], ['family']);

const prefixesOf = (resource: FhirResource, catalogue = BOTH): string[] =>
  planSeal(resource, catalogue).sites.flatMap(({ terms }) =>
    terms
      .filter(({ indexClass }) => indexClass.endsWith('-prefix'))
      .map(({ indexClass, text }) => `${indexClass} ${text}`),
  );
const named = (family: string, given: string[] = []): FhirResource => ({
  resourceType: 'Patient',
  name: [{ family, ...(given.length > 0 ? { given } : {}) }],
});

test('[E7] the first 3 to 8 letters of each name are indexed, as they are compared; without the option none', () => {
  const expected = ['mül', 'müll', 'mülle', 'müller', 'müller-', 'müller-l'].map((text) => `family-prefix ${text}`);
  assert.deepEqual(prefixesOf(named('MÜLLER-Lüdenscheidt', ['Jo', 'Ann'])), [...expected, 'given-prefix ann']);
  assert.deepEqual(prefixesOf(named('Müller-Lüdenscheidt', ['Jo', 'Ann']), FAMILY), expected);
  assert.deepEqual(prefixesOf(named('Müller', ['Ann']), OWN), []);
});

test('[E7] a beginning that ends in a blank, or in a letter that is written otherwise at the end of a word, is the word itself', () => {
  assert.deepEqual(
    prefixesOf(named('van Dyk')),
    ['van', 'van d', 'van dy', 'van dyk'].map((text) => `family-prefix ${text}`),
  );
  assert.ok(prefixesOf(named('Οδυσσέας')).includes('family-prefix οδυς'));
});

test('[E7] beginnings are indexed only of the names a person is searched by', () => {
  const others: readonly FhirResource[] = [
    { resourceType: 'Patient', contact: [{ name: { family: 'Chalmers' } }] },
    { resourceType: 'Observation', contained: [named('Chalmers')] },
    { resourceType: 'Patient', extension: [{ url: 'https://x.example', valueHumanName: { family: 'Chalmers' } }] },
    { resourceType: 'Practitioner', name: [{ family: 'Chalmers' }] },
  ];
  for (const resource of others) assert.deepEqual(prefixesOf(resource), [], JSON.stringify(resource));
  for (const resourceType of ['Person', 'RelatedPerson'])
    assert.equal(prefixesOf({ ...named('Chalmers'), resourceType }).length, 6);
  const sealed = createCatalogue(
    parseOverrides('version: 1\ntypes: { Practitioner: { sealed: true } }\n'),
    [],
    ['family'],
  );
  assert.equal(prefixesOf({ ...named('Chalmers'), resourceType: 'Practitioner' }, sealed).length, 6);
});

test('[E7] where identifiers have no index there is no place for beginnings, and none is made', () => {
  const rules = 'version: 1\nelements: { Patient.identifier.value: { treatment: seal, class: identifier } }\n';
  assert.deepEqual(prefixesOf(named('Chalmers'), createCatalogue(parseOverrides(rules), [], ['family'])), []);
});

test('[E1] beginnings stand once, sorted, beside the identifiers; opening and withholding leave none of them', () => {
  const whole: FhirResource = {
    ...named('Chalmers', ['Peter', 'Petra']),
    identifier: [{ system: 'https://hospital.example/mrn', value: '12345' }],
  };
  for (const resource of [whole, named('Chalmers')]) {
    const { sealed, vault } = seal(resource, BOTH);
    const values = (sealed['identifier'] as { system: string; value: string }[])
      .filter(({ system }) => system === 'urn:keyward:index')
      .map(({ value }) => value);
    assert.equal(new Set(values).size, values.length);
    assert.ok(values.length >= 6);
    for (const catalogue of [BOTH, OWN]) {
      assert.deepEqual(open(sealed, vault, catalogue), resource);
      assert.doesNotMatch(JSON.stringify(withhold(sealed, catalogue)), /kwi1|urn:keyward/);
      assert.deepEqual(planOpen(sealed, catalogue).sites.length, planSeal(resource, OWN).sites.length);
    }
  }
});

test('[E7] what leaks counts a beginning once for each record', () => {
  const kinds = termsToShow(named('Chalmers', ['Peter', 'Petra']), NOW, BOTH).map(({ kind }) => kind);
  const count = (wanted: string) => kinds.filter((kind) => kind === wanted).length;
  // pet, pete, peter; petr, petra
  assert.deepEqual([count('family'), count('family-prefix'), count('given'), count('given-prefix')], [1, 6, 2, 5]);
});

test('[E7] what leaks of stored records counts beginnings, which cannot be told from identifiers without system', () => {
  const kinds = visibleTerms(seal(named('Chalmers'), BOTH).sealed, BOTH).map(({ kind }) => kind);
  assert.deepEqual(new Set(kinds), new Set(['family', 'shadow']));
  assert.equal(kinds.length, 7);
});

test('[E1] names of any letters come back, with beginnings and without', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (text) => {
      fc.pre(text.trim() !== '' && /\S/.test(text));
      const resource = named(`x${text}`);
      const { sealed, vault } = seal(resource, BOTH);
      assert.deepEqual(open(sealed, vault, BOTH), resource);
    }),
    { numRuns: 200 },
  );
});
