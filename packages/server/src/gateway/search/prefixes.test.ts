/** Names by their beginnings: what is asked of the upstream, and what of its answers is shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCatalogue, type FhirResource } from '../../phi/index.ts';
import { matchesFilters } from './filters.ts';
import { decision, plan as planned, refusal as refused } from './testing.ts';

const rules = createCatalogue(undefined, [], ['family', 'given']);
const familyOnly = createCatalogue(undefined, [], ['family']);
const plan = (query: string, type = 'Patient') => planned(query, { rules, type });
const refusal = (query: string, as = decision()) => refused(query, { rules, as });

/** Class and text of each term, by the name of the parameter that asks for it. */
const asked = (query: string, catalogue = rules) =>
  planned(query, { rules: catalogue }).blind.map(({ name, terms }) => [
    name,
    ...terms.map(({ indexClass, text }) => `${indexClass} ${text}`),
  ]);

test('[E7] a name is asked for by its first letters, eight at most, among the identifiers of ours', () => {
  assert.deepEqual(asked('family=Smi'), [['identifier', 'family-prefix smi']]);
  assert.deepEqual(asked('given=Christopher'), [['identifier', 'given-prefix christop']]);
  assert.deepEqual(asked('family=Smi,JON'), [['identifier', 'family-prefix smi', 'family-prefix jon']]);
  assert.deepEqual(asked('name=smi'), [['identifier', 'family-prefix smi', 'given-prefix smi']]);
  assert.deepEqual(asked('family=Smi&identifier=1&given=Ann'), [
    ['identifier', 'family-prefix smi'],
    ['identifier', 'identifier 1'],
    ['identifier', 'given-prefix ann'],
  ]);
  assert.deepEqual(plan('family=Smi').blind[0]?.terms[0]?.tokenSystem, 'urn:keyward:index');
});

test('[E7] :exact, links and what is not indexed so are asked for by equality', () => {
  assert.deepEqual(asked('family:exact=Smith'), [['family', 'family Smith']]);
  assert.deepEqual(asked('address-city=Bos'), [['address-city', 'city Bos']]);
  assert.deepEqual(asked('given=Ann', familyOnly), [['given', 'given Ann']]);
  assert.deepEqual(asked('name=Ann', familyOnly), [['name', 'family Ann', 'given Ann']]);
  const [chain] = planned('patient.family=Smith', { rules, type: 'Observation' }).blind;
  assert.deepEqual([chain?.name, chain?.terms[0]?.indexClass], ['patient:Patient.family', 'family']);
});

test('[E7] fewer than three letters are refused, with what to send instead', () => {
  for (const query of ['family=Li', 'given=J', 'family=Smith,Li', 'name=%20ab%20'])
    assert.equal(refusal(query), 'FHIR_PARAM_INVALID', query);
  assert.throws(() => plan('family=Li'), { detail: /3 at least, or family:exact/ });
  assert.equal(refusal('family:exact=Li'), 'accepted');
});

test('[A4] who may not open names may not search by their beginnings', () => {
  assert.equal(refusal('family=Smi', decision(['address'])), 'ACCESS_DENIED');
  assert.equal(refused('family=Smi', { rules, inUrl: true }), 'FHIR_PHI_IN_URL');
});

const ANN: FhirResource = {
  resourceType: 'Patient',
  name: [{ family: 'van der Smithersen', given: ['Οδυσσέας', 'Ann'] }],
};
const isShown = (query: string) => matchesFilters(ANN, plan(query).filters, rules);

test('[E7] only what begins so is shown, whatever the upstream found', () => {
  for (const query of [
    'family=van',
    'family=VAN%20DER%20SMI',
    'family=van%20der%20smithersen',
    'given=οδυς',
    'given=ΟΔΥΣΣΈ',
    'name=ann',
    'family=other,van%20',
  ])
    assert.ok(isShown(query), query);
  for (const query of [
    'family=der',
    'family=van%20der%20smithersens',
    'given=anna',
    'family=ann',
    'given=van',
    'family=van%20dexx',
  ])
    assert.ok(!isShown(query), query);
});

test('[E7] what a page link carries of a beginning is its length and a digest', () => {
  const [filter] = plan('family=Smithers').filters;
  assert.match(filter?.any[0] ?? '', /^8:[\w-]{12}$/);
  assert.equal(filter?.narrows, undefined);
});

test('[E7] more letters than are indexed are compared by the gateway, which cannot count', () => {
  assert.equal(plan('family=Smithersen').filters[0]?.narrows, true);
  assert.equal(refusal('family=Smithersen&_summary=count'), 'FHIR_PARAM_UNSUPPORTED');
  assert.equal(refusal('family=Smithers&_summary=count'), 'accepted');
});
