/** Threat: the FHIR server behind the gateway passes one record off as another: by ids, versions and locations, and by what it leaves out. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { refusalOf, textOf } from '../support/attacker.ts';
import { type Answer, type Call, type Product, startProduct, type TokenChoice } from '../support/product.ts';
import { type Json, type Lie, RecordingUpstream, type Reply, searchset } from '../support/recording-upstream.ts';

let upstream: RecordingUpstream;
let product: Product;
let alice: string;
let bob: string;
let ofBob: string;

const patientOf = (family: string) => ({ resourceType: 'Patient', name: [{ family }], birthDate: '1980-05-06' });
const resultOf = (patient: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '718-7' }] },
  subject: { reference: `Patient/${patient}` },
  valueString: 'told in confidence',
});

before(async () => {
  upstream = await RecordingUpstream.start();
  product = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url } });
  [alice, bob] = [await create(patientOf('Alvarez')), await create(patientOf('Bobek'))];
  ofBob = await create(resultOf(bob));
});
after(() => upstream.close());

async function create(json: { readonly resourceType: string }): Promise<string> {
  const { status, body } = await product.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return textOf(body['id']);
}

/** One call while the upstream lies; then it is honest again. */
async function lyingTo(call: Call, lie: Lie): Promise<Answer> {
  upstream.lie = lie;
  try {
    return await product.fhir({ role: 'clinician', ...call });
  } finally {
    upstream.lie = (truth) => truth;
  }
}

const copyOf = (name: string): Json => structuredClone(upstream.stored.get(name) as Json);
const scopeOf = (name: string): unknown => {
  const root = (copyOf(name)['extension'] as Json[]).find(({ url }) => url === 'urn:keyward:root') as Json;
  return (root['extension'] as Json[]).find(({ url }) => url === 'scope')?.['valueString'];
};
const changed = (name: string, change: Json): Json => ({ ...copyOf(name), ...change });
const answeringWrites =
  (body: unknown): Lie =>
  (truth, { method }) =>
    method === 'POST' ? { status: 200, body } : truth;
const answering = (body: unknown) => (): Reply => ({ status: 200, body });

test('[E2] what an upstream says of a write does not choose under whose key another record is sealed', async () => {
  // A patient that this gateway has not met, so that nothing about it is remembered.
  upstream.stored.set('Patient/unmet', changed(`Patient/${bob}`, { id: 'unmet' }));
  const response = (id: string) => ({ response: { status: '200', location: `Patient/${id}/_history/9` } });
  const bundleOf = (id: string) => ({ resourceType: 'Bundle', type: 'transaction-response', entry: [response(id)] });
  const entry = (resource: unknown, method: string, url: string) => ({
    path: '/',
    json: { resourceType: 'Bundle', type: 'transaction', entry: [{ resource, request: { method, url } }] },
  });
  const again = { ...patientOf('Alvarez'), id: alice };
  for (const id of [bob, 'unmet']) {
    const updated = await lyingTo(entry(again, 'PUT', `Patient/${alice}`), answeringWrites(bundleOf(id)));
    assert.equal(
      refusalOf(updated),
      '504 GATEWAY_OUTCOME_UNKNOWN',
      'an update of one record that is said to be another',
    );
    await lyingTo({ path: '/Patient', json: patientOf('Cato') }, (truth) => ({
      ...truth,
      body: { ...(truth.body as Json), id },
    }));
    await lyingTo(entry(patientOf('Cato'), 'POST', 'Patient'), answeringWrites(bundleOf(id)));
    const written = await create(resultOf(id));
    assert.equal(scopeOf(`Observation/${written}`), scopeOf(`Patient/${bob}`), `sealed for ${id}`);
  }
});

test('[P1] ids and versions that are none reach no header, no address and no ledger', async () => {
  const record = `Patient/${alice}`;
  const texts = [
    'HOSTILE <script>',
    'HOSTILE\r\nset-cookie: a=b',
    'HOSTILE", evil="1',
    'HOSTILE/1',
    '日本',
    '',
    'x'.repeat(65),
    5,
    {},
  ];
  const told: string[] = [];
  for (const text of texts) {
    const version = changed(record, { meta: { ...(copyOf(record)['meta'] as Json), versionId: text } });
    const named = changed(record, { id: text });
    const calls: readonly (readonly [path: string, body: unknown])[] = [
      [`/${record}`, version],
      [`/${record}/_history/1`, version],
      [`/${record}/_history`, { ...searchset([version]), type: 'history' }],
      ['/Patient', searchset([version])],
      ['/Patient', searchset([named])],
      [`/${record}/$everything`, searchset([version])],
    ];
    for (const [path, body] of calls) {
      const answer = await lyingTo({ path }, answering(body));
      if (
        refusalOf(answer) !== '502 GATEWAY_UPSTREAM_INVALID' ||
        /HOSTILE/.test(JSON.stringify([answer.body, answer.headers]))
      )
        told.push(`${path} ${JSON.stringify(text)}: ${refusalOf(answer)}`);
    }
  }
  assert.deepEqual(told, []);
  const nameless = await lyingTo({ path: '/Patient' }, answering(searchset([changed(record, { id: undefined })])));
  assert.equal(refusalOf(nameless), '502 GATEWAY_UPSTREAM_INVALID');
});

test('[A3] a record of one patient does not open to another, whatever the upstream says whose it is', async () => {
  const own: TokenChoice = { role: 'patient', patient: alice };
  const token = await product.token(own);
  const passedOff = changed(`Observation/${ofBob}`, { subject: { reference: `Patient/${alice}` } });
  for (const [path, body] of [
    [`/Observation/${ofBob}`, passedOff],
    ['/Observation', searchset([passedOff])],
    [`/Patient/${alice}/$everything`, searchset([passedOff])],
  ] as const) {
    const lie: Lie = (truth, { path: asked }) => (asked === `/Patient/${alice}` ? truth : { status: 200, body });
    const answer = await lyingTo({ path, token }, lie);
    assert.equal(answer.status, 200, refusalOf(answer));
    assert.match(JSON.stringify(answer.body), /SUBSETTED/, path);
    assert.doesNotMatch(JSON.stringify(answer.body), /confidence/, path);
  }
});

test('[A3] of what is not shown $everything asks nothing, and an upstream that sends it all the same is not counted by pages', async () => {
  const partner = await product.token({ role: 'partner' });
  const next = (page: number) => ({ link: [{ relation: 'next', url: `${upstream.url}/Patient?page=${page}` }] });
  const asked: string[] = [];
  const everything: Lie = (_truth, { path }) => {
    asked.push(path);
    const page = Number(/page=(\d+)/.exec(path)?.[1] ?? 0);
    const body =
      page === 5 ? searchset([copyOf(`Patient/${bob}`)]) : searchset([copyOf(`Observation/${ofBob}`)], next(page + 1));
    return { status: 200, body };
  };
  const answer = await lyingTo({ path: `/Patient/${bob}/$everything?_count=1`, token: partner }, everything);
  assert.deepEqual(
    [(answer.body['entry'] as unknown as unknown[]).length, (answer.body['link'] as unknown as unknown[]).length],
    [1, 1],
  );
  assert.match(asked[0] ?? '', /_type=/);
  assert.doesNotMatch(asked[0] ?? '', /Observation|_count=1(&|$)/);
  asked.length = 0;
  const whole = await lyingTo({ path: `/Patient/${bob}/$everything?_count=1` }, everything);
  assert.equal(whole.status, 200);
  assert.deepEqual(asked, [`/Patient/${bob}/$everything?_count=1`], 'who may read all is given the pages as they are');
});

test('[A3] an upstream whose pages hold nothing and never end is not followed for ever', async () => {
  let pages = 0;
  const answer = await lyingTo({ path: `/Patient/${bob}/$everything` }, () => {
    const link = [{ relation: 'next', url: `${upstream.url}/Patient?page=${++pages}` }];
    return { status: 200, body: searchset([], { link }) };
  });
  assert.equal(answer.status, 200);
  assert.ok(pages < 50, `${pages} pages`);
});

test('[E1] while existing data is sealed, plaintext in the place of a Patient that was sealed is not shown', async () => {
  await product.stop();
  product.env = { ...product.env, KEYWARD_GATEWAY_EXISTING_DATA: 'backfill' };
  await product.start();
  // The gateway meets Alice.
  await create(resultOf(alice));
  const plain = { ...patientOf('HOSTILE'), id: alice, meta: { versionId: '1' } };
  const path = `/Patient/${alice}`;
  for (const [call, body] of [
    [{ path }, plain],
    [{ path, role: 'partner' }, plain],
    [{ path: '/Patient' }, searchset([plain])],
    [{ path: `${path}/$everything` }, searchset([plain])],
  ] as const)
    assert.equal(refusalOf(await lyingTo(call, answering(body))), '502 SEAL_NOT_AUTHENTIC', call.path);
  const unmet = { ...plain, id: 'never-sealed' };
  assert.equal(
    (await lyingTo({ path: '/Patient/never-sealed' }, answering(unmet))).status,
    200,
    'others are sealed yet',
  );
});
