/** Tests of conditional create: one resource for one condition, however many ask at once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { leaf, startTestStore, type TestStore } from './testing.ts';

let store: TestStore;
before(async () => {
  store = await startTestStore();
});
after(() => store.stop());

const patient = (value: string, more: object = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:mrn', value }],
  ...more,
});
const createUnless = (criteria: string, value: string) =>
  store.call('POST', '/Patient', patient(value), { 'if-none-exist': criteria });
const countOf = async (value: string) =>
  (await store.call('GET', `/Patient?identifier=urn:mrn|${value}&_summary=count`)).json['total'];
const entry = (value: string, criteria: string | undefined, fullUrl?: string) => ({
  ...(fullUrl === undefined ? {} : { fullUrl }),
  request: { method: 'POST', url: 'Patient', ...(criteria === undefined ? {} : { ifNoneExist: criteria }) },
  resource: patient(value),
});
const transact = (...entries: readonly object[]) =>
  store.call('POST', '/', { resourceType: 'Bundle', type: 'transaction', entry: entries });

test('[E1] a create whose condition nothing meets creates; once something does, that is the answer', async () => {
  const created = await createUnless('identifier=urn:mrn|one', 'one');
  assert.equal(created.status, 201);
  const again = await createUnless('identifier=urn:mrn|one', 'another');
  assert.deepEqual([again.status, again.headers['etag'], again.json], [200, 'W/"1"', created.json]);
  assert.equal(await countOf('another'), 0);
});

test('[E1] a condition that several meet creates nothing', async () => {
  await store.call('POST', '/Patient', patient('twins'));
  await store.call('POST', '/Patient', patient('twins'));
  const answer = await createUnless('identifier=urn:mrn|twins', 'third');
  assert.equal(answer.status, 412);
  assert.match(answer.text, /FHIR_MULTIPLE_MATCHES/);
  assert.equal(await countOf('third'), 0);
});

test('[E1] what was deleted meets no condition', async () => {
  const { json } = await createUnless('identifier=urn:mrn|deleted', 'deleted');
  await store.call('DELETE', `/Patient/${leaf(json['id'])}`);
  assert.equal((await createUnless('identifier=urn:mrn|deleted', 'deleted')).status, 201);
});

test('[E1] of 20 creates at once under one condition, in whatever order it is written, exactly one creates', async () => {
  const criteria = ['identifier=urn:mrn|raced&active:missing=true', 'active:missing=true&identifier=urn:mrn|raced'];
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => createUnless(criteria[n % 2] ?? '', 'raced')));
  const statuses = answers.map(({ status }) => status);
  assert.deepEqual(
    statuses.toSorted((left, right) => left - right),
    [...Array.from({ length: 19 }, () => 200), 201],
  );
  assert.equal(new Set(answers.map(({ json }) => json['id'])).size, 1);
});

test('[E1] of transactions at once that share conditions, each condition creates once', async () => {
  const names = ['t1', 't2', 't3', 't4'];
  const entries = names.map((name) => entry(name, `identifier=urn:mrn|${name}`));
  const answers = await Promise.all([
    transact(...entries),
    transact(...entries.toReversed()),
    transact(...entries),
    transact(...entries.toReversed()),
  ]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  for (const name of names) assert.equal(await countOf(name), 1);
});

test('[E1] in a transaction, references to what exists already lead there', async () => {
  const existing = leaf((await createUnless('identifier=urn:mrn|known', 'known')).json['id']);
  const urn = 'urn:uuid:0f0e0d0c-0000-4000-8000-000000000002';
  const observation = { resourceType: 'Observation', status: 'final', subject: { reference: urn } };
  const answered = await transact(
    { request: { method: 'POST', url: 'Observation' }, resource: observation },
    entry('known', 'identifier=urn:mrn|known', urn),
    entry('new', 'identifier=urn:mrn|new'),
  );
  assert.equal(answered.status, 200, answered.text);
  const responses = (answered.json['entry'] as unknown as { response: { status: string; location: string } }[]).map(
    ({ response }) => response,
  );
  assert.deepEqual(
    responses.map(({ status }) => status),
    ['201 Created', '200 OK', '201 Created'],
  );
  assert.equal(responses[1]?.location, `Patient/${existing}/_history/1`);
  const { json } = await store.call('GET', `/${responses[0]?.location}`);
  assert.equal(json['subject']?.['reference'], `Patient/${existing}`);
});

const known = 'identifier=urn:mrn|fixed';
const REFUSED_BUNDLES = [
  ['asks one condition twice', 400, () => [entry('x', 'identifier=urn:mrn|x'), entry('x', 'identifier=urn:mrn|x')]],
  [
    'deletes what a condition found',
    400,
    (id: string) => [entry('fixed', known), { request: { method: 'DELETE', url: `Patient/${id}` } }],
  ],
  ['has a condition that several meet', 412, () => [entry('fresh', undefined), entry('fresh', 'identifier=urn:mrn|')]],
] as const;

for (const [what, status, entriesOf] of REFUSED_BUNDLES) {
  test(`[E1] a transaction that ${what} writes nothing`, async () => {
    const { json } = await createUnless(known, 'fixed');
    await createUnless('identifier=urn:mrn|second', 'second');
    const untouched = await store.dump();
    const answer = await transact(...entriesOf(leaf(json['id'])));
    assert.equal(answer.status, status, answer.text);
    assert.equal(await store.dump(), untouched);
  });
}

for (const criteria of ['', 'shoe-size=44', '_count=1', '_sort=_id', 'Patient?identifier=x', 'identifier=']) {
  test(`[E1] the criteria "${criteria}" are refused, not ignored`, async () =>
    assert.equal((await createUnless(criteria, 'refused')).status, 400));
}

test('[E1] only a create takes If-None-Exist', async () => {
  const headers = { 'if-none-exist': known };
  const body = patient('put', { id: 'put' });
  assert.equal((await store.call('PUT', '/Patient/put', body, headers)).status, 501);
  assert.equal((await store.call('GET', '/Patient', undefined, headers)).status, 501);
});

test('[E1] a transaction may ask hundreds of conditions', async () => {
  const entries = Array.from({ length: 250 }, (_, n) => entry(`bulk-${n}`, `identifier=urn:mrn|bulk-${n}`));
  const statusesOf = async () => {
    const { json } = await transact(...entries);
    return (json['entry'] as unknown as { response: { status: string } }[]).map(({ response }) => response.status);
  };
  assert.deepEqual([...new Set(await statusesOf())], ['201 Created']);
  assert.deepEqual([...new Set(await statusesOf())], ['200 OK']);
});
