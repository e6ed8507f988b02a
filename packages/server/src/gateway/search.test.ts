import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { KeywardError } from '../core/index.ts';
import { FIELD_CLASSES, type FieldClass } from '../phi/index.ts';
import type { Decision } from './policy.ts';
import { matchesFilters, planSearch, type SearchPlan } from './search.ts';

const decision = (open: readonly FieldClass[] = FIELD_CLASSES, patient?: string): Decision => ({
  rule: 'r',
  open: new Set(open),
  mask: new Set(),
  patient,
});
const plan = (query: string, { type = 'Patient', inUrl = false, as = decision() } = {}): SearchPlan =>
  planSearch(type, new URLSearchParams(query), inUrl, as);

function refusal(query: string, options: Parameters<typeof plan>[1] = {}): string {
  try {
    plan(query, options);
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof KeywardError);
    return error.code;
  }
}

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
    'general-practitioner.name=x': 'FHIR_PARAM_UNSUPPORTED',
    '_has:Observation:patient:code=1': 'FHIR_PARAM_UNSUPPORTED',
    '_include=Patient:organization': 'FHIR_PARAM_UNSUPPORTED',
    '_filter=name eq x': 'FHIR_PARAM_UNSUPPORTED',
    '_text=x': 'FHIR_PARAM_UNSUPPORTED',
    '_elements=name': 'FHIR_PARAM_UNSUPPORTED',
    'family:contains=x': 'FHIR_PARAM_UNSUPPORTED',
    'phonetic=x': 'FHIR_PARAM_UNSUPPORTED',
    'birthdate=ge1980': 'FHIR_PARAM_UNSUPPORTED',
    'birthdate=1980,1981': 'FHIR_PARAM_UNSUPPORTED',
    '_sort=family': 'FHIR_PARAM_UNSUPPORTED',
    'gender:text=x': 'FHIR_PARAM_UNSUPPORTED',
    'family=': 'FHIR_PARAM_INVALID',
    'identifier=a|b|c': 'FHIR_PARAM_INVALID',
    '_count=-1': 'FHIR_PARAM_INVALID',
    'family:missing=maybe': 'FHIR_PARAM_INVALID',
    '_cursor=x': 'FHIR_CURSOR_INVALID',
  };
  for (const [query, code] of Object.entries(refused)) assert.equal(refusal(query), code, query);
  assert.equal(refusal('_cursor=x&_count=1', { inUrl: true }), 'FHIR_CURSOR_INVALID');
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
  assert.deepEqual(filters, [{ element: 'birthDate', prefix: '1980-05-12' }]);
  assert.deepEqual(plan('birthdate=1980').filters, []);
  assert.ok(matchesFilters({ birthDate: '1980-05-12' }, filters));
  for (const resource of [{ birthDate: '1980-05-13' }, { birthDate: '1980' }, {}, { birthDate: 1980 }])
    assert.ok(!matchesFilters(resource, filters));
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
