/** Threat: the FHIR server behind the gateway finds the wrong records, or drags others along. None of them is shown as an answer. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { refusalOf, textOf } from '../support/attacker.ts';
import { type Answer, type Call, type Product, startProduct } from '../support/product.ts';
import { type Json, RecordingUpstream, searchset } from '../support/recording-upstream.ts';

let upstream: RecordingUpstream;
let product: Product;
const ids = { ann: '', otto: '', ofAnn: '', ofOtto: '' };

before(async () => {
  upstream = await RecordingUpstream.start();
  product = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url } });
  ids.ann = await created(patient('Annsworth', 'M-100-1', '1980-05-12'));
  ids.otto = await created(patient('Ottokar', 'M-100-2', '1980-11-30'));
  ids.ofAnn = await created(observation(ids.ann));
  ids.ofOtto = await created(observation(ids.otto));
});
after(() => upstream.close());

const patient = (family: string, number: string, birthDate: string) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:x', value: number }],
  name: [{ family }],
  birthDate,
});
const observation = (owner: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '718-7' }] },
  subject: { reference: `Patient/${owner}` },
});

async function created(json: { readonly resourceType: string; readonly [member: string]: unknown }): Promise<string> {
  const { status, body } = await clinician({ path: `/${json.resourceType}`, json });
  assert.equal(status, 201, JSON.stringify(body));
  return textOf(body['id']);
}

const clinician = (call: Call): Promise<Answer> => product.fhir({ role: 'clinician', ...call });
const stored = (name: string) => upstream.stored.get(name) as Json;

/** Ids of what is shown when the upstream answers with these entries, whatever it was asked. */
async function shownOf(call: Call, entry: readonly Json[], more: Json = {}): Promise<string[]> {
  const answer = await lyingTo(call, entry, more);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return ((answer.body['entry'] ?? []) as unknown as { resource: { id: string } }[]).map(({ resource }) => resource.id);
}

async function lyingTo(call: Call, entry: readonly Json[], more: Json = {}): Promise<Answer> {
  upstream.lie = () => ({ status: 200, body: searchset([], { entry, ...more }) });
  try {
    return await clinician(call);
  } finally {
    upstream.lie = (truth) => truth;
  }
}

const match = (name: string): Json => ({ resource: stored(name), search: { mode: 'match' } });
const include = (name: string): Json => ({ resource: stored(name), search: { mode: 'include' } });
const patients = () => [match(`Patient/${ids.ann}`), match(`Patient/${ids.otto}`)];
const search = (form: Record<string, string>): Call => ({ path: '/Patient/_search', form });

test('[E7] a record that an upstream finds for an index which is not its own is not shown, nor counted', async () => {
  for (const form of [
    { family: 'annsworth' },
    { name: 'ANNSWORTH' },
    { identifier: 'urn:x|M-100-1' },
    { identifier: 'M-100-1' },
    { 'identifier:not': 'M-100-2' },
    { birthdate: '1980-05-12' },
    { birthdate: 'lt1980-06' },
    { 'family:exact': 'Annsworth' },
    { family: 'annsworth', _elements: 'birthDate' },
  ] as Record<string, string>[]) {
    assert.deepEqual(await shownOf(search(form), patients()), [ids.ann], JSON.stringify(form));
    const paged = await lyingTo(search(form), patients(), {
      total: 2,
      link: [{ relation: 'next', url: `${upstream.url}/Patient?page=2` }],
    });
    assert.equal(paged.body['total'], undefined);
  }
});

test('[E7] pages that follow are looked at in the same way', async () => {
  const first = await lyingTo(search({ family: 'annsworth' }), patients(), {
    link: [{ relation: 'next', url: `${upstream.url}/Patient?page=2` }],
  });
  const links = first.body['link'] as unknown as { relation: string; url: string }[];
  const next = links.find(({ relation }) => relation === 'next')?.url ?? '';
  assert.deepEqual(await shownOf({ path: next.slice(product.base.length) }, patients()), [ids.ann]);
});

test('[A3] what comes along with no match that is shown, or was not asked for, is left out', async () => {
  const entries = () => [...patients(), include(`Observation/${ids.ofAnn}`), include(`Observation/${ids.ofOtto}`)];
  const form = { family: 'annsworth', _revinclude: 'Observation:subject' };
  assert.deepEqual(await shownOf(search(form), entries()), [ids.ann, ids.ofAnn]);
  assert.deepEqual(await shownOf(search({ family: 'annsworth' }), entries()), [ids.ann]);
  assert.deepEqual(await shownOf(search({ ...form, _revinclude: 'Encounter:subject' }), entries()), [ids.ann]);
  // A match that is passed off as an inclusion.
  assert.deepEqual(await shownOf(search(form), [match(`Patient/${ids.ann}`), include(`Patient/${ids.otto}`)]), [
    ids.ann,
  ]);
});

test('[A6] a page that drags along too much is refused, and the refusal says what to do', async () => {
  const entry = [...patients(), ...Array.from({ length: 1001 }, () => include(`Observation/${ids.ofAnn}`))];
  const answer = await lyingTo(search({ family: 'annsworth', _revinclude: 'Observation:subject' }), entry);
  assert.equal(refusalOf(answer), '400 FHIR_INCLUDES_TOO_MANY');
});

test('[A3] everything of one patient holds nothing of another', async () => {
  const entry = [...patients(), match(`Observation/${ids.ofAnn}`), match(`Observation/${ids.ofOtto}`)];
  const path = `/Patient/${ids.ann}/$everything`;
  assert.deepEqual((await shownOf({ path }, entry)).toSorted(), [ids.ann, ids.ofAnn].toSorted());
});

test('[P1] links, counts and parts are asked of the upstream without a value that was searched for', async () => {
  await clinician({ path: '/Observation/_search', form: { 'subject:Patient.identifier': 'urn:x|M-100-1' } });
  await clinician({ path: '/Organization/_search', form: { '_has:Patient:organization:name': 'Annsworth' } });
  await clinician({ path: '/Observation/_search', form: { 'patient.birthdate': 'ge1980' } });
  await clinician(search({ 'family:exact': 'Annsworth', 'identifier:not': 'M-100-1', _summary: 'true' }));
  const received = readFileSync(join(upstream.folder, 'received.txt'), 'utf8');
  assert.match(received, /subject%3APatient\.identifier=urn%3Ax%7Ckwi1/);
  assert.match(received, /_has%3APatient%3Aorganization%3Aname=kwi1/);
  assert.doesNotMatch(received, /Annsworth|M-100|1980-05-12|_summary|_elements/i);
});

test('[E7] a count is told only where what was counted is what was asked', async () => {
  const counted = async (form: Record<string, string>) => {
    const { status, body } = await lyingTo(search({ ...form, _summary: 'count' }), [], { total: 7 });
    return status === 200 ? body['total'] : status;
  };
  assert.equal(await counted({ family: 'annsworth' }), 7);
  assert.equal(await counted({ birthdate: '1980' }), 7);
  assert.equal(await counted({ birthdate: '1980-05-12' }), 400);
  assert.equal(await counted({ 'family:exact': 'Annsworth' }), 400);
});
