/** Tests of the store over its socket: versions, conditions, bundles, and what lies in the database. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Answer, leaf, startTestStore, type TestStore, type Tree } from './testing.ts';

let store: TestStore;
before(async () => {
  store = await startTestStore();
});
after(() => store.stop());

const patient = (more: object = {}) => ({
  resourceType: 'Patient',
  name: [{ family: 'Featherstonehaugh', given: ['Quentin'] }],
  ...more,
});
const idOf = async (body: object = patient()) => leaf((await store.call('POST', '/Patient', body)).json['id']);
const ascending = (left: number, right: number) => left - right;
const linksOf = ({ json }: Answer) => json['link'] as unknown as { relation: string; url: string }[];
/** Year of birth, ETag and status of each entry. */
const historyOf = ({ json }: Answer): string[] =>
  (
    json['entry'] as unknown as {
      resource?: { birthDate?: string };
      response: { etag: string; status: string };
    }[]
  ).map(({ resource, response }) => `${resource?.birthDate} ${response.etag} ${response.status}`);
const errorCode = (text: string) => /"system":"urn:keyward:error","code":"(\w+)"/.exec(text)?.[1];

test('[S1] a created resource gets a random id, version 1, ETag, Last-Modified and Location, and reads back', async () => {
  const created = await store.call('POST', '/Patient', patient({ id: 'chosen-by-the-client', active: true }));
  assert.equal(created.status, 201);
  const id = leaf(created.json['id']);
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.equal(created.headers['location'], `http://store/Patient/${id}/_history/1`);
  const read = await store.call('GET', `/Patient/${id}`);
  assert.equal(read.status, 200);
  assert.equal(read.headers['etag'], 'W/"1"');
  assert.ok(read.headers['last-modified']);
  assert.deepEqual(read.json, created.json);
  assert.deepEqual(read.json['meta']?.['versionId'], '1');
});

test('[S1] decimals keep their digits through sealing, reading, searching and transactions', async () => {
  const body =
    '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50,"code":"digits"}}';
  const single = await store.call('POST', '/Observation', body);
  const transaction = `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Observation"},"resource":${body}}]}`;
  const answered = await store.call('POST', '/', transaction);
  const location = leaf(answered.json['entry']?.[0]?.['response']?.['location']);
  for (const path of [
    `/Observation/${leaf(single.json['id'])}`,
    `/Observation/${leaf(single.json['id'])}/_history`,
    `/${location}`,
    '/Observation?value-quantity=1.5||digits',
  ]) {
    assert.match((await store.call('GET', path)).text, /"value":1\.50[,}]/, path);
  }
});

test('[S1] an update makes the next version; old versions and history stay readable, newest first, in pages', async () => {
  const id = await idOf();
  for (const year of ['1980', '1981', '1982'])
    await store.call('PUT', `/Patient/${id}`, patient({ id, birthDate: year }));
  assert.equal((await store.call('GET', `/Patient/${id}/_history/2`)).json['birthDate'], '1980');
  const first = await store.call('GET', `/Patient/${id}/_history?_count=2`);
  const next = linksOf(first).find(({ relation }) => relation === 'next')?.url ?? '';
  await store.call('PUT', `/Patient/${id}`, patient({ id, birthDate: 'meanwhile' }));
  const second = await store.call('GET', next.replace('http://store', ''));
  assert.deepEqual(historyOf(first), ['1982 W/"4" 200', '1981 W/"3" 200']);
  assert.deepEqual(historyOf(second), ['1980 W/"2" 200', 'undefined W/"1" 201']);
  assert.deepEqual([first.json['total'], second.json['total']], [4, 5]);
  assert.deepEqual(
    linksOf(second).map(({ relation }) => relation),
    ['self'],
  );
  for (const query of ['_since=2020', '_offset=1', '_after=x'])
    assert.equal((await store.call('GET', `/Patient/${id}/_history?${query}`)).status, 400, query);
});

test('[S1] a history of no entries tells its total and has no next page', async () => {
  const answer = await store.call('GET', `/Patient/${await idOf()}/_history?_count=0`);
  assert.deepEqual([answer.json['total'], historyOf(answer)], [1, []]);
  assert.deepEqual(
    linksOf(answer).map(({ relation }) => relation),
    ['self'],
  );
});

test('[S1] a PUT to an unused id creates it, and ids in body and address must agree', async () => {
  const created = await store.call('PUT', '/Patient/made-by-put', patient({ id: 'made-by-put' }));
  assert.equal(created.status, 201);
  assert.equal((await store.call('PUT', '/Patient/made-by-put', patient({ id: 'made-by-put' }))).status, 200);
  assert.equal((await store.call('PUT', '/Patient/made-by-put', patient({ id: 'other' }))).status, 400);
});

test('[S1] a deleted resource is gone, keeps its history, is found by no search, and can be written again', async () => {
  const id = await idOf(patient({ birthDate: '1801' }));
  assert.equal((await store.call('DELETE', `/Patient/${id}`)).status, 204);
  assert.equal((await store.call('DELETE', `/Patient/${id}`)).status, 204);
  assert.equal((await store.call('GET', `/Patient/${id}`)).status, 410);
  assert.equal((await store.call('GET', `/Patient/${id}/_history/2`)).status, 410);
  assert.equal((await store.call('GET', `/Patient/${id}/_history/1`)).status, 200);
  assert.equal((await store.call('GET', '/Patient?birthdate=1801')).json['entry']?.['length'], 0);
  const again = await store.call('PUT', `/Patient/${id}`, patient({ id, birthDate: '1802' }));
  assert.deepEqual([again.status, again.headers['etag']], [201, 'W/"3"']);
  assert.equal(again.headers['location'], `http://store/Patient/${id}/_history/3`);
  assert.equal((await store.call('GET', `/Patient/${id}`)).status, 200);
  const history = await store.call('GET', `/Patient/${id}/_history`);
  assert.deepEqual(historyOf(history), ['1802 W/"3" 201', 'undefined W/"2" 204', '1801 W/"1" 201']);
  const methods = history.json['entry'] as unknown as { request: { method: string } }[];
  assert.deepEqual(
    methods.map(({ request }) => request.method),
    ['PUT', 'DELETE', 'POST'],
  );
  assert.deepEqual(historyOf(await store.call('GET', `/Patient/${id}/_history?_count=1`)), ['1802 W/"3" 201']);
});

test('[S1] If-Match guards updates and deletes; what is no version of ours fails the condition', async () => {
  const id = await idOf();
  const put = (ifMatch: string) => store.call('PUT', `/Patient/${id}`, patient({ id }), { 'if-match': ifMatch });
  assert.equal((await put('W/"1"')).status, 200);
  for (const stale of ['W/"1"', '2', '*', '"x"']) assert.equal((await put(stale)).status, 412, stale);
  assert.equal((await store.call('DELETE', `/Patient/${id}`, undefined, { 'if-match': 'W/"1"' })).status, 412);
  assert.equal((await store.call('DELETE', `/Patient/${id}`, undefined, { 'if-match': 'W/"2"' })).status, 204);
  assert.equal((await put('W/"3"')).status, 412);
});

test('[S1] concurrent updates are all kept, each as a version of its own', async () => {
  const id = await idOf();
  const writers = Array.from({ length: 12 }, (_, n) =>
    store.call('PUT', `/Patient/${id}`, patient({ id, multipleBirthInteger: n })),
  );
  const versions = (await Promise.all(writers)).map(({ json }) => Number(json['meta']?.['versionId']));
  assert.deepEqual(
    versions.toSorted(ascending),
    Array.from({ length: 12 }, (_, n) => n + 2),
  );
});

test('[S1] of concurrent writers that create by PUT exactly one creates', async () => {
  const put = () => store.call('PUT', '/Patient/contended', patient({ id: 'contended' }));
  const statuses = (await Promise.all([put(), put(), put(), put()])).map(({ status }) => status);
  assert.deepEqual(statuses.toSorted(ascending), [200, 200, 200, 201]);
});

const entry = (method: string, url: string, resource?: object, more: object = {}) => ({
  request: { method, url, ...more },
  ...(resource ? { resource } : {}),
});
const bundle = (type: string, ...entries: object[]) => ({ resourceType: 'Bundle', type, entry: entries });

test('[S1] a transaction resolves placeholders, deletes first, and answers in the order of its entries', async () => {
  await store.call('PUT', '/Patient/replaced', patient({ id: 'replaced' }));
  const placeholder = 'urn:uuid:0f0e0d0c-0000-4000-8000-000000000001';
  const encounter = { resourceType: 'Encounter', status: 'planned', subject: { reference: placeholder } };
  const answered = await store.call(
    'POST',
    '/',
    bundle(
      'transaction',
      entry('POST', 'Encounter', encounter),
      { fullUrl: placeholder, ...entry('POST', 'Patient', patient()) },
      entry('PUT', 'Patient/put', patient({ id: 'put', link: [{ other: { reference: placeholder } }] })),
      entry('DELETE', 'Patient/replaced'),
    ),
  );
  assert.equal(answered.status, 200, answered.text);
  const responses = (answered.json['entry'] as unknown as { response: { status: string; location?: string } }[]).map(
    ({ response }) => response,
  );
  assert.deepEqual(
    responses.map(({ status }) => status),
    ['201 Created', '201 Created', '201 Created', '204 No Content'],
  );
  assert.match(String(responses[0]?.location), /^Encounter\//);
  const created = responses[1]?.location?.replace('/_history/1', '');
  const { json } = await store.call('GET', `/${responses[0]?.location}`);
  assert.equal(json['subject']?.['reference'], created);
  const updated = (await store.call('GET', '/Patient/put')).json;
  assert.equal(updated['link']?.[0]?.['other']?.['reference'], created);
});

const FAILING_ENTRIES = [
  ['a stale If-Match', entry('PUT', 'Patient/fixed', patient({ id: 'fixed' }), { ifMatch: 'W/"99"' }), 412],
  ['an unknown type', entry('POST', 'Pet', { resourceType: 'Pet' }), 404],
  ['a body of another type', entry('POST', 'Patient', { resourceType: 'Encounter' }), 400],
  ['a read', entry('GET', 'Patient/fixed'), 501],
  ['a condition', entry('PUT', 'Patient/fixed', patient({ id: 'fixed' }), { ifNoneMatch: '*' }), 501],
  [
    'a condition for what is no create',
    entry('PUT', 'Patient/fixed', patient({ id: 'fixed' }), { ifNoneExist: '_id=x' }),
    501,
  ],
  ['unreadable criteria', entry('POST', 'Patient', patient(), { ifNoneExist: 'shoe-size=44' }), 400],
  ['a conditional update', entry('PUT', 'Patient?identifier=urn:x|1', patient()), 501],
  ['a deletion of what never was', entry('DELETE', 'Patient/never-was'), 404],
  ['an entry without a request', { resource: patient() }, 400],
  ['a nested transaction', entry('POST', '', bundle('batch')), 501],
] as const;

for (const [what, failing, status] of FAILING_ENTRIES) {
  test(`[S1] a transaction with ${what} writes nothing`, async () => {
    const untouched = await store.dump();
    const answered = await store.call('POST', '/', bundle('transaction', entry('POST', 'Patient', patient()), failing));
    assert.equal(answered.status, status, answered.text);
    assert.equal(await store.dump(), untouched);
  });
}

test('[S1] a transaction that writes one resource twice is refused', async () => {
  const put = entry('PUT', 'Patient/twice', patient({ id: 'twice' }));
  assert.equal((await store.call('POST', '/', bundle('transaction', put, put))).status, 400);
});

test('[S1] a transaction holds hundreds of creates, updates and deletes', async () => {
  const ids = Array.from({ length: 100 }, (_, n) => `many-${n}`);
  const creates = ids.map(() => entry('POST', 'Patient', patient()));
  const puts = ids.map((id) => entry('PUT', `Patient/${id}`, patient({ id })));
  const deletes = ids.map((id) => entry('DELETE', `Patient/${id}`));
  for (const [writes, expected] of [
    [puts, '201 Created'],
    [puts, '200 OK'],
    [deletes, '204 No Content'],
  ] as const) {
    const answered = await store.call('POST', '/', bundle('transaction', ...creates, ...writes));
    const statuses = (answered.json['entry'] as unknown as { response: { status: string } }[]).map(
      ({ response }) => response.status,
    );
    assert.deepEqual([...new Set(statuses.slice(0, 100))], ['201 Created']);
    assert.deepEqual([...new Set(statuses.slice(100))], [expected]);
  }
});

const SECRETS = ['Featherstonehaugh', 'Quentin', '555-0199', '12 Nowhere Lane', 'MRN-0042', 'heard voices'];

test('[E3] no text of a resource stands in any table, and none in the log', async () => {
  const body = patient({
    identifier: [{ system: 'urn:mrn', value: 'MRN-0042' }],
    telecom: [{ system: 'phone', value: '555-0199' }],
    address: [{ line: ['12 Nowhere Lane'], city: 'Springfield' }],
    text: { status: 'generated', div: '<div>heard voices</div>' },
  });
  const { json } = await store.call('POST', '/Patient', body);
  await store.call('GET', `/Patient?family=Featherstonehaugh&_count=zzz`);
  await store.call('POST', '/Patient', { resourceType: 'Patient', Featherstonehaugh: 1n.toString(), meta: 'MRN-0042' });
  const haystack =
    (await store.dump()) +
    store.logged.join('\n') +
    (await store.call('GET', `/_at-rest/Patient/${leaf(json['id'])}`)).text;
  assert.ok(haystack.includes(leaf(json['id'])), 'the resource is in the dump');
  for (const secret of SECRETS) {
    for (const form of [secret, Buffer.from(secret).toString('hex')])
      assert.ok(!haystack.toLowerCase().includes(form.toLowerCase()), secret);
  }
});

test('[E3] at rest a resource is a sealed body and its index rows', async () => {
  const id = await idOf(patient({ gender: 'female', managingOrganization: { reference: 'Organization/o1' } }));
  const { json } = await store.call('GET', `/_at-rest/Patient/${id}`);
  assert.deepEqual([json['type'], json['id'], json['version']], ['Patient', id, 1]);
  assert.match(leaf(json['body']), /^[\w-]{200,}$/);
  assert.deepEqual(json['index']?.['index_reference'], [
    { param: 'organization', target_type: 'Organization', target_id: 'o1' },
  ]);
  assert.match(JSON.stringify(json['index']?.['index_blind']), /"family","token":"kwi1[a-z2-7]{26}"/);
  assert.equal((await store.call('GET', '/_at-rest/Patient/never-was')).status, 404);
});

const TAMPERINGS = [
  ['a changed body', 'UPDATE resource_version SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE id = $1'],
  ['a shortened body', 'UPDATE resource_version SET body = substring(body from 1 for 20) WHERE id = $1'],
  [
    'a body of another resource',
    "UPDATE resource_version SET body = (SELECT body FROM resource_version WHERE type = 'Patient' AND id = 'other' AND version = 1) WHERE id = $1",
  ],
  [
    'an older body under a newer version',
    'UPDATE resource_version n SET body = o.body FROM resource_version o WHERE n.id = $1 AND o.id = $1 AND n.version = 2 AND o.version = 1',
  ],
] as const;

for (const [what, sql] of TAMPERINGS) {
  test(`[E3] ${what} is an error, not data`, async () => {
    await store.call('PUT', '/Patient/other', patient({ id: 'other' }));
    const id = await idOf(patient({ birthDate: '1666' }));
    await store.call('PUT', `/Patient/${id}`, patient({ id, birthDate: '1666' }));
    await store.pool.query(sql, [id]);
    for (const path of [`/Patient/${id}`, `/Patient/${id}/_history`, `/Patient?_id=${id}`]) {
      const answer = await store.call('GET', path);
      assert.deepEqual([answer.status, errorCode(answer.text)], [500, 'STORE_NOT_AUTHENTIC'], path);
      assert.ok(!answer.text.includes('1666'));
    }
  });
}

test('[E3] without keys nothing is written and nothing is read', async () => {
  const id = await idOf();
  const untouched = await store.dump();
  store.custodian.down = true;
  try {
    for (const [method, path] of [
      ['POST', '/Patient'],
      ['GET', `/Patient/${id}`],
      ['GET', '/Patient'],
    ] as const) {
      const answer = await store.call(method, path, method === 'POST' ? patient() : undefined);
      assert.deepEqual([answer.status, errorCode(answer.text)], [503, 'KEYS_UNAVAILABLE']);
    }
  } finally {
    store.custodian.down = false;
  }
  assert.equal(await store.dump(), untouched);
});

test('[S1] the socket is for its owner alone', () => assert.equal(statSync(store.socketPath).mode & 0o777, 0o600));

const REFUSED = [
  ['POST', '/$graphql', 501],
  ['GET', '/', 501],
  ['PATCH', '/Patient/x', 501],
  ['PUT', '/Patient?identifier=urn:c|A', 501],
  ['DELETE', '/Patient?identifier=urn:c|A', 501],
  ['GET', '/Patient/$everything', 501],
  ['POST', '/Patient/x/$validate', 501],
  ['GET', '/Pet', 404],
  ['GET', '/Patient/never-was', 404],
  ['GET', '/Patient/never-was/_history', 404],
  ['GET', '/Patient/never-was?_elements=name', 400],
] as const;

for (const [method, path, status] of REFUSED) {
  test(`[S1] ${method} ${path} is refused with an OperationOutcome`, async () => {
    const answer = await store.call(method, path, ['GET', 'DELETE'].includes(method) ? undefined : []);
    assert.equal(answer.status, status);
    assert.equal(answer.json['resourceType'], 'OperationOutcome');
  });
}

for (const header of ['if-none-match', 'if-modified-since']) {
  test(`[S1] a request with ${header} is refused, not done without its condition`, async () => {
    assert.equal((await store.call('POST', '/Patient', patient(), { [header]: 'identifier=urn:c|A' })).status, 501);
  });
}

test('[S1] a batch is refused: the gateway sends its entries one by one', async () => {
  assert.equal((await store.call('POST', '/', bundle('batch', entry('POST', 'Patient', patient())))).status, 400);
});

test('[S1] an answer that cannot be written is an error of that request alone', async () => {
  const id = await idOf();
  await store.pool.query("UPDATE resource_version SET last_updated = 'infinity' WHERE id = $1", [id]);
  assert.equal((await store.call('GET', `/Patient/${id}`)).status, 500);
  assert.equal((await store.call('GET', '/healthz')).status, 200);
});

test('[P2] a refusal quotes nothing of the request', async () => {
  const answers = await Promise.all([
    store.call('POST', '/Patient', '{"resourceType":"Patient","name":"Featherstonehaugh"'),
    store.call('GET', '/Patient?Featherstonehaugh=1'),
    store.call('GET', '/Patient?birthdate=Featherstonehaugh'),
    store.call('POST', '/Encounter', patient()),
  ]);
  for (const { status, text } of answers) {
    assert.equal(status, 400);
    assert.ok(!text.includes('Featherstonehaugh'), text);
  }
});

test('[S3] healthz answers, and metadata lists what is indexed and claims only what there is', async () => {
  assert.equal((await store.call('GET', '/healthz')).status, 200);
  const rest = (await store.call('GET', '/metadata')).json['rest']?.[0];
  assert.deepEqual(rest?.['interaction'], [{ code: 'transaction' }]);
  const resources = rest?.['resource'] as unknown as (Tree & {
    type: string;
    searchParam: { name: string; documentation?: string }[];
  })[];
  const described = resources.find(({ type }) => type === 'Patient');
  const parameters = new Map(described?.searchParam.map((one) => [one.name, one]));
  for (const name of ['_id', '_lastUpdated', 'family', 'identifier', 'birthdate'])
    assert.ok(parameters.has(name), name);
  assert.ok(!parameters.has('phonetic'));
  assert.match(parameters.get('family')?.documentation ?? '', /whole values only/);
  assert.deepEqual(
    [described?.['conditionalCreate'], described?.['conditionalUpdate'], described?.['conditionalDelete']],
    [true, false, 'not-supported'],
  );
  const organization = resources.find(({ type }) => type === 'Organization');
  assert.match(organization?.searchParam.find(({ name }) => name === 'name')?.documentation ?? '', /beginning/);
  assert.equal(described?.['operation']?.[0]?.['name'], 'everything');
  assert.equal(organization?.['operation'], undefined);
  const inclusions = (name: string) => described?.[name] as unknown as string[];
  assert.ok(inclusions('searchInclude').includes('Patient:organization'));
  assert.ok(inclusions('searchRevInclude').includes('Observation:subject'));
  assert.ok(!inclusions('searchRevInclude').includes('Encounter:location'));
  assert.ok(
    !resources.some((one) => JSON.stringify(one['searchInclude']).includes('QuestionnaireResponse:questionnaire')),
  );
});
