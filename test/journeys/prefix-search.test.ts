/** Names by their beginnings on a running Keyward: found, confirmed, renamed, sealed before the option; and nothing of them upstream. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { refusalOf } from '../support/attacker.ts';
import { backfill } from '../support/backfill-journey.ts';
import { type Product, startProduct } from '../support/product.ts';
import { RecordingUpstream, searchset } from '../support/recording-upstream.ts';

const ON = { KEYWARD_GATEWAY_PREFIX_SEARCH: JSON.stringify(['family', 'given']) };

let keyward: Product;
let older: string;
let smithers: string;
let jones: string;

const personOf = (family: string, given: readonly string[], more = {}) => ({
  resourceType: 'Patient',
  name: [{ family, given }],
  gender: 'other',
  ...more,
});

async function created(json: { readonly resourceType: string }): Promise<string> {
  const { status, body } = await keyward.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return body['id'] as unknown as string;
}

const search = (form: Record<string, string>, type = 'Patient', role = 'clinician') =>
  keyward.fhir({ method: 'POST', path: `/${type}/_search`, form, role });

/** Ids, sorted. */
async function found(form: Record<string, string>, type?: string): Promise<string[]> {
  const { status, body } = await search(form, type);
  assert.equal(status, 200, JSON.stringify(body));
  const entries = (body['entry'] ?? []) as unknown as readonly { resource: { id: string } }[];
  return [...entries].map(({ resource }) => resource.id).sort();
}

before(async () => {
  keyward = await startProduct();
  older = await created(personOf('Smithsonian', ['Olga']));
  await keyward.stop();
  keyward.env = ON;
  await keyward.start();
  smithers = await created(
    personOf('Smithersen', ['Ann', 'Christopherus'], { identifier: [{ system: 'urn:mrn', value: 'M-1' }] }),
  );
  jones = await created(personOf('Jones', ['Smithy']));
});

test('[E7] a person is found by the first letters of a name, alone and together with other criteria', async () => {
  assert.deepEqual(await found({ family: 'SMITH' }), [smithers]);
  assert.deepEqual(await found({ family: 'Smithersen' }), [smithers]);
  assert.deepEqual(await found({ given: 'christopherus' }), [smithers]);
  assert.deepEqual(await found({ name: 'smi' }), [smithers, jones].sort());
  assert.deepEqual(await found({ family: 'smi,jon' }), [smithers, jones].sort());
  assert.deepEqual(await found({ name: 'smi', given: 'ann', identifier: 'M-1', gender: 'other' }), [smithers]);
  assert.deepEqual(await found({ name: 'smi', identifier: 'M-2' }), []);
  for (const family of ['Smithersens', 'mith', 'Christo']) assert.deepEqual(await found({ family }), [], family);
});

test('[E7] :exact is the whole name; fewer than three letters are refused; billing may not search by what it may not see', async () => {
  assert.deepEqual(await found({ 'family:exact': 'Smithersen' }), [smithers]);
  assert.deepEqual(await found({ 'family:exact': 'Smith' }), []);
  const short = await search({ family: 'Sm' });
  assert.equal(refusalOf(short), '400 FHIR_PARAM_INVALID');
  assert.doesNotMatch(JSON.stringify(short.body), /Sm"/);
  assert.equal(refusalOf(await search({ family: 'Smi' }, 'Patient', 'researcher')), '403 ACCESS_DENIED');
});

test('[E7] pages of such a search are confirmed like the first', async () => {
  const first = await search({ name: 'smi', _count: '1' });
  const links = first.body['link'] as unknown as readonly { relation: string; url: string }[];
  const next = links.find(({ relation }) => relation === 'next');
  assert.ok(next, JSON.stringify(links));
  assert.match(next.url, /\/Patient\?_cursor=kw1\.[\w-]+$/, 'nothing but a sealed cursor');
  const second = await keyward.fhir({ path: next.url.slice(keyward.base.length), role: 'clinician' });
  const ids = [first, second].map(({ body }) => body['entry']?.[0]?.['resource']?.['id'] as unknown as string);
  assert.deepEqual(ids.sort(), [smithers, jones].sort());
});

test('[E7] nobody sees the indexes: the record comes back as it was written', async () => {
  for (const role of ['clinician', 'researcher', 'partner']) {
    const { body, status } = await keyward.fhir({ path: `/Patient/${smithers}`, role });
    assert.equal(status, 200);
    assert.doesNotMatch(JSON.stringify(body), /kwi1|urn:keyward/, role);
  }
  const { body } = await keyward.fhir({ path: `/Patient/${smithers}`, role: 'clinician' });
  assert.deepEqual(body['identifier'], [{ system: 'urn:mrn', value: 'M-1' }]);
});

test('[E7] a former name is not found any more', async () => {
  const id = await created(personOf('Formerly', ['Fiona']));
  assert.deepEqual(await found({ family: 'former' }), [id]);
  const json = { ...personOf('Nowadays', ['Fiona']), id };
  assert.equal((await keyward.fhir({ method: 'PUT', path: `/Patient/${id}`, role: 'clinician', json })).status, 200);
  assert.deepEqual(await found({ family: 'former' }), []);
  assert.deepEqual(await found({ family: 'nowad' }), [id]);
});

test('[E7] through links a name is searched whole', async () => {
  const subject = { reference: `Patient/${smithers}` };
  const id = await created({ resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject } as never);
  assert.deepEqual(await found({ 'patient.family': 'Smithersen' }, 'Observation'), [id]);
  assert.deepEqual(await found({ 'patient.family': 'Smith' }, 'Observation'), []);
});

test('[E7] metadata says how names are searched', async () => {
  const { body } = await keyward.fhir({ path: '/metadata' });
  const resources = body['rest']?.[0]?.['resource'] as unknown as readonly {
    type: string;
    searchParam: readonly { name: string; documentation?: string }[];
  }[];
  const documentation = (name: string) =>
    resources.find(({ type }) => type === 'Patient')?.searchParam.find((one) => one.name === name)?.documentation;
  assert.match(documentation('family') ?? '', /first letters/);
  assert.match(documentation('address-city') ?? '', /By equality/);
});

test('[E7] what was sealed before the option is found by its beginning once it is sealed anew', async () => {
  assert.deepEqual(await found({ 'family:exact': 'Smithsonian' }), [older]);
  assert.deepEqual(await found({ family: 'Smithson' }), []);
  const { status } = await backfill(keyward, '--reseal', '--type', 'Patient');
  assert.equal(status, 0);
  assert.deepEqual(await found({ family: 'Smithson' }), [older]);
});

test('[P1] of names and of what is searched nothing readable reaches the upstream, nor what it did not find', async () => {
  const upstream = await RecordingUpstream.start();
  after(() => upstream.close());
  await keyward.stop();
  keyward.env = { ...ON, KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url };
  await keyward.start();
  const id = await created(personOf('Kolibrifamily', ['Kolibrigiven']));
  assert.equal((await search({ family: 'Kolibri', given: 'kol' })).status, 200);
  const sent = readFileSync(join(upstream.folder, 'received.txt'), 'utf8');
  assert.match(sent, /identifier=urn%3Akeyward%3Aindex%7Ckwi1/);
  assert.doesNotMatch(sent, /kolibri|=kol/i);
  // An upstream that answers with somebody else.
  upstream.lie = (truth, { path }) =>
    path.includes('_search') ? { status: 200, body: searchset([upstream.stored.get(`Patient/${id}`)]) } : truth;
  assert.deepEqual(await found({ family: 'Kolibrif' }), [id]);
  assert.deepEqual(await found({ family: 'Kolibrig' }), []);
});
