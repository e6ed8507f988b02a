import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FIELD_CLASSES } from '../phi/index.ts';
import { matchesFilters } from './search/filters.ts';
import { catalogue, decision, plan, refusal } from './search/testing.ts';

test('[P1] every parameter that asks for a sealed value is refused in a URL, whatever its modifier', () => {
  const sealed = [
    'identifier',
    'name',
    'family',
    'given',
    'phone',
    'email',
    'telecom',
    'birthdate',
    'death-date',
    'address',
    'address-city',
    'address-postalcode',
    'phonetic',
  ];
  for (const name of sealed)
    for (const suffix of ['', ':exact', ':contains', ':text']) {
      assert.equal(refusal(`${name}${suffix}=x`, { inUrl: true }), 'FHIR_PHI_IN_URL', name + suffix);
    }
  assert.equal(refusal('identifier=x', { type: 'Observation', inUrl: true }), 'FHIR_PHI_IN_URL');
});

test('[P1] parameters without identifying values pass in a URL', () => {
  for (const query of [
    '_id=1',
    '_count=5',
    'gender=female',
    '_lastUpdated=gt2020-01-01',
    'family:missing=true',
    '_sort=-_lastUpdated',
    'active=true',
  ]) {
    assert.equal(refusal(query, { inUrl: true }), 'accepted', query);
  }
  assert.equal(refusal('patient=Patient/1&code=http://loinc.org|1', { type: 'Observation', inUrl: true }), 'accepted');
  assert.equal(refusal('identifier=1', { type: 'Practitioner', inUrl: true }), 'accepted', 'practitioners are clear');
});

test('[E7] what is not supported is refused by a code, never ignored', () => {
  const refused: Record<string, string> = {
    'unknown=1': 'FHIR_PARAM_UNSUPPORTED',
    'gender.name=x': 'FHIR_PARAM_UNSUPPORTED',
    '_include=*': 'FHIR_PARAM_UNSUPPORTED',
    '_filter=name eq x': 'FHIR_PARAM_UNSUPPORTED',
    '_text=x': 'FHIR_PARAM_UNSUPPORTED',
    'family:contains=x': 'FHIR_PARAM_UNSUPPORTED',
    'phonetic=x': 'FHIR_PARAM_UNSUPPORTED',
    'birthdate=ne1980': 'FHIR_PARAM_UNSUPPORTED',
    'birthdate=ap1980': 'FHIR_PARAM_UNSUPPORTED',
    'birthdate=1980-5': 'FHIR_PARAM_UNSUPPORTED',
    'birthdate:exact=1980': 'FHIR_PARAM_UNSUPPORTED',
    'birthdate=1980-13-45': 'FHIR_PARAM_INVALID',
    'birthdate=ge1980-00': 'FHIR_PARAM_INVALID',
    'birthdate=1980-05-12,1981-02-29': 'FHIR_PARAM_INVALID',
    'family:not=x': 'FHIR_PARAM_UNSUPPORTED',
    'identifier:not=1,2': 'FHIR_PARAM_UNSUPPORTED',
    'telecom:not=1': 'FHIR_PARAM_UNSUPPORTED',
    'address-state:contains=x': 'FHIR_PARAM_UNSUPPORTED',
    '_sort=family': 'FHIR_PARAM_UNSUPPORTED',
    'gender:text=x': 'FHIR_PARAM_UNSUPPORTED',
    'family=': 'FHIR_PARAM_INVALID',
    'identifier=a|b|c': 'FHIR_PARAM_INVALID',
    '_count=-1': 'FHIR_PARAM_INVALID',
    'family:missing=maybe': 'FHIR_PARAM_INVALID',
    '_cursor=x': 'FHIR_CURSOR_INVALID',
  };
  for (const [query, code] of Object.entries(refused)) assert.equal(refusal(query), code, query);
  assert.equal(refusal('birthdate=1980-02-29,ge1980-12,1980'), 'accepted', 'days that there are');
  for (const inUrl of [true, false])
    for (const name of ['_text', '_content', '_content:missing', '_query'])
      assert.equal(refusal(`${name}=true`, { type: 'Organization', inUrl }), 'FHIR_PARAM_UNSUPPORTED', name);
  assert.equal(refusal('_cursor=x&_sort=_id', { inUrl: true }), 'FHIR_CURSOR_INVALID');
  assert.equal(refusal('_cursor=x&_cursor=y', { inUrl: true }), 'FHIR_CURSOR_INVALID');
});

test('[E7] a page larger than the largest is asked for as the largest', () => {
  assert.deepEqual(plan('_count=5000').clear, [['_count', '1000']]);
});

test('[E7] an identifier with a system keeps the system, one without uses the second index', () => {
  const [parameter] = plan('identifier=urn:x|7,8').blind;
  assert.deepEqual(parameter?.terms, [
    { indexClass: 'identifier', text: '7', system: 'urn:x', tokenSystem: 'urn:x' },
    { indexClass: 'identifier', text: '8', system: '', tokenSystem: undefined },
  ]);
});

test('[E7] an identifier that is no list has no second index, so its system is asked for', () => {
  assert.equal(refusal('identifier=1', { type: 'QuestionnaireResponse' }), 'FHIR_PARAM_UNSUPPORTED');
  assert.equal(refusal('identifier=urn:x|1', { type: 'QuestionnaireResponse' }), 'accepted');
});

test('[A6] a question with too many parameters or alternatives is refused before anything is hashed', () => {
  assert.equal(refusal(`family=${Array.from({ length: 501 }, () => 'x').join(',')}`), 'FHIR_PARAM_INVALID');
  assert.equal(refusal(`_id=${Array.from({ length: 501 }, () => 'x').join(',')}`), 'FHIR_PARAM_INVALID');
  assert.equal(refusal(Array.from({ length: 51 }, () => 'gender=male').join('&')), 'FHIR_PARAM_INVALID');
});

test('[E7] a name is looked for among family and given names; commas separate alternatives, escaped ones do not', () => {
  const texts = (query: string) => plan(query).blind[0]?.terms.map(({ indexClass, text }) => `${indexClass} ${text}`);
  assert.deepEqual(texts('name=Ann'), ['family Ann', 'given Ann']);
  assert.deepEqual(texts('family=A,B'), ['family A', 'family B']);
  assert.deepEqual(texts(String.raw`family=A\,B\\,C`), [String.raw`family A,B\ `.trim(), 'family C']);
});

test('[A6] a value of nothing but backslashes is read once', () => {
  const startedMs = performance.now();
  assert.equal(plan(`family=${encodeURIComponent('\\\\'.repeat(30_000))}`).blind.length, 1);
  assert.ok(performance.now() - startedMs < 1_000);
});

test('[E7] a birth date is asked for by year and checked against the opened value', () => {
  const { clear, filters } = plan('birthdate=1980-05-12');
  assert.deepEqual(clear, [['birthdate', '1980']]);
  const isShown = (resource: object) => matchesFilters({ resourceType: 'Patient', ...resource }, filters, catalogue);
  assert.ok(isShown({ birthDate: '1980-05-12' }));
  for (const resource of [{ birthDate: '1980-05-13' }, { birthDate: '1980' }, {}, { birthDate: 1980 }])
    assert.ok(!isShown(resource));
});

test('[A3] whoever may not open a class may not search by it', () => {
  const billing = decision(['name', 'birthDate']);
  assert.equal(refusal('phone=1', { as: billing }), 'ACCESS_DENIED');
  assert.equal(refusal('identifier=1', { as: billing }), 'ACCESS_DENIED');
  assert.equal(refusal('telecom=1', { as: billing }), 'ACCESS_DENIED');
  assert.equal(refusal('family=x', { as: billing }), 'accepted');
  assert.equal(refusal('birthdate=1980', { as: decision(['name']) }), 'ACCESS_DENIED');
});

test('[A3] a caller limited to one patient searches that record at the upstream already', () => {
  const own = decision(FIELD_CLASSES, 'p1');
  assert.deepEqual(plan('', { as: own }).clear, [['_id', 'p1']]);
  assert.deepEqual(plan('', { type: 'Observation', as: own }).clear, [['patient', 'Patient/p1']]);
  assert.deepEqual(plan('patient=Patient/p2', { type: 'Observation', as: own }).clear.length, 2, 'both must hold');
  assert.equal(refusal('', { type: 'Organization', as: own }), 'ACCESS_DENIED');
});

test('[P1] no parameter name or value makes the planner fail without a code, and none identifying passes in clear', () => {
  const name = fc.oneof(
    fc.constantFrom('family', 'identifier', 'birthdate', 'name:exact', '_count', 'gender', 'phone'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string()), { maxLength: 4 }), (pairs) => {
      const query = new URLSearchParams(pairs).toString();
      const code = refusal(query);
      if (code !== 'accepted') return;
      for (const [clearName] of plan(query).clear)
        assert.doesNotMatch(clearName, /^(family|identifier|phone)(:exact)?$/);
    }),
  );
});
