/** Searches that look at other resources: chains and `_has`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeywardError } from '../../core/index.ts';
import { FIELD_CLASSES } from '../../phi/index.ts';
import { decision, plan, refusal } from './testing.ts';

const onObservation = { type: 'Observation' };

test('[E7] the end of a chain is asked blind, by the rule of the type it leads to; the upstream is told which type', () => {
  const blind = (query: string, type: string) =>
    plan(query, { type }).blind.map(({ name, terms }) => [name, terms.length]);
  assert.deepEqual(blind('subject:Patient.identifier=urn:x|7', 'Observation'), [['subject:Patient.identifier', 1]]);
  assert.deepEqual(blind('patient.identifier=7', 'Observation'), [['patient:Patient.identifier', 1]]);
  assert.deepEqual(blind('patient.name=Ann', 'Observation'), [['patient:Patient.name', 2]]);
  assert.deepEqual(blind('encounter.patient.phone=1', 'Observation'), [
    ['encounter:Encounter.patient:Patient.phone', 1],
  ]);
});

test('[E7] a chain that ends at something clear passes as it is, up to three links', () => {
  const clear = (query: string) => plan(query, { ...onObservation, inUrl: true }).clear;
  assert.deepEqual(clear('patient.organization.name=Gen'), [['patient:Patient.organization:Organization.name', 'Gen']]);
  assert.deepEqual(clear('encounter.subject:Patient.organization.name=Gen'), [
    ['encounter:Encounter.subject:Patient.organization:Organization.name', 'Gen'],
  ]);
  assert.equal(refusal('patient.organization.partof.partof.name=x', onObservation), 'FHIR_PARAM_UNSUPPORTED');
});

test('[E7] what refers here is asked blind too, and may refer here itself', () => {
  assert.deepEqual(plan('_has:Observation:patient:code=1').clear, [['_has:Observation:patient:code', '1']]);
  assert.deepEqual(
    plan('_has:Encounter:patient:identifier=1').blind.map(({ name }) => name),
    ['_has:Encounter:patient:identifier'],
  );
  assert.deepEqual(plan('_has:Observation:patient:_has:AuditEvent:entity:action=R').clear, [
    ['_has:Observation:patient:_has:AuditEvent:entity:action', 'R'],
  ]);
  assert.deepEqual(plan('_has:Observation:patient:encounter.status=planned').clear, [
    ['_has:Observation:patient:encounter:Encounter.status', 'planned'],
  ]);
});

test('[E7] a link that could lead to several types, to none, or nowhere is refused, and the refusal says what to write', () => {
  const detailOf = (query: string, type = 'Observation') => {
    try {
      plan(query, { type });
    } catch (error) {
      return (error as KeywardError).detail;
    }
    return 'accepted';
  };
  assert.match(detailOf('subject.identifier=1') ?? '', /subject:Patient\./);
  for (const query of [
    'subject:Practitioner.name=x',
    'subject:Elephant.name=x',
    'code.name=x',
    'patient.constructor=x',
    'patient.code=x',
    '_has:Observation:patient=1',
    '_has:Elephant:patient:code=1',
    'patient.identifier:not=1',
    'patient.identifier:missing=true',
    'patient.name:exact=Ann',
    'patient.gender:not=male',
    'patient._text=x',
    'patient.=x',
    '.name=x',
    'patient._has:Observation:patient:code=1',
  ])
    assert.equal(refusal(query, onObservation), 'FHIR_PARAM_UNSUPPORTED', query);
  assert.equal(refusal('_has:Observation:performer:code=1'), 'accepted', 'performers may be patients');
  assert.equal(refusal('_has:Observation:device:code=1'), 'FHIR_PARAM_UNSUPPORTED', 'devices are no patients');
});

test('[E7] at the end of a link a birth date is asked for by year only, since the day could not be checked', () => {
  assert.deepEqual(plan('patient.birthdate=ge1980', onObservation).clear, [['patient:Patient.birthdate', 'ge1980']]);
  assert.deepEqual(plan('patient.birthdate=ge1980', onObservation).filters, []);
  assert.equal(refusal('patient.birthdate=1980-05-12', onObservation), 'FHIR_PARAM_UNSUPPORTED');
});

test('[P1] what is sealed at the end of a link does not stand in a URL', () => {
  for (const query of ['patient.identifier=1', 'subject:Patient.name=x', 'patient.birthdate=1980'])
    assert.equal(refusal(query, { ...onObservation, inUrl: true }), 'FHIR_PHI_IN_URL', query);
  assert.equal(refusal('_has:Encounter:patient:identifier=1', { inUrl: true }), 'FHIR_PHI_IN_URL');
});

test('[A3] whoever may not search a type, or not open a class of it, does not reach it through a link', () => {
  const decide = (type: string) => {
    if (type === 'Encounter') throw new KeywardError('ACCESS_DENIED');
    return type === 'Patient' ? decision(['name']) : decision();
  };
  const asked = { ...onObservation, decide };
  assert.equal(refusal('patient.name=x', asked), 'accepted');
  assert.equal(refusal('patient.identifier=1', asked), 'ACCESS_DENIED');
  assert.equal(refusal('patient.birthdate=1980', asked), 'ACCESS_DENIED');
  assert.equal(refusal('encounter.status=planned', asked), 'ACCESS_DENIED');
  assert.equal(refusal('_has:Encounter:patient:status=planned', { decide }), 'ACCESS_DENIED');
});

test('[A3] a caller limited to one patient reaches directory entries through links, and nobody else', () => {
  const own = decision(FIELD_CLASSES, 'p1');
  const decide = (type: string) => (type === 'Organization' ? decision() : own);
  assert.equal(refusal('general-practitioner:Organization.name=x', { as: own, decide }), 'accepted');
  assert.equal(refusal('link:Patient.name=x', { as: own, decide }), 'ACCESS_DENIED');
  assert.equal(refusal('_has:Observation:patient:code=1', { as: own, decide }), 'ACCESS_DENIED');
});
