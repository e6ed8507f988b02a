/** Threat: a caller with a true token who wants more than role, scope, purpose and patient permit. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createEngine } from '../../packages/sdk/src/seal/index.ts';
import { openCursor, sealCursor } from '../../packages/server/src/gateway/cursor.ts';
import type { Exchange } from '../../packages/server/src/gateway/exchange.ts';
import { assertRefused, countsOf, refusalOf, textOf } from '../support/attacker.ts';
import { createMemoryKeys } from '../support/memory-keys.ts';
import { type Answer, type Body, type Call, type Product, startProduct, type TokenChoice } from '../support/product.ts';

const ALICE = {
  resourceType: 'Patient',
  identifier: [{ system: 'https://hospital.example/mrn', value: 'MRN-4711-0815' }],
  name: [{ family: 'Alvarez', given: ['Alice'] }],
  telecom: [{ system: 'phone', value: '+1 555 010 4711' }],
  address: [{ line: ['7 Hidden Lane'], city: 'Springfield', postalCode: '04711' }],
  birthDate: '1984-07-11',
};
const BOB = { resourceType: 'Patient', name: [{ family: 'Bobek' }], birthDate: '1991-01-02' };

let product: Product;
let alice: string;
let bob: string;
let aliceResult: string;
let bobResult: string;

before(async () => {
  product = await startProduct();
  [alice, bob] = [await create(ALICE), await create(BOB)];
  [aliceResult, bobResult] = [await create(resultOf(alice)), await create(resultOf(bob))];
  await create(resultOf(bob));
});

const resultOf = (patient: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '718-7' }] },
  subject: { reference: `Patient/${patient}` },
  note: [{ text: 'told in confidence' }],
});

async function create(json: { readonly resourceType: string }): Promise<string> {
  const { status, body } = await product.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return textOf(body['id']);
}

const as = async (choice: TokenChoice, call: Call): Promise<Answer> =>
  product.fhir({ ...call, token: await product.token(choice) });
const searchAs = (role: string, form: Record<string, string>, type = 'Patient') =>
  product.fhir({ method: 'POST', path: `/${type}/_search`, form, role });
const found = ({ body }: Answer): string[] =>
  ((body['entry'] ?? []) as unknown as { resource: { id: string } }[]).map(({ resource }) => resource.id);
const nextLink = ({ body }: Answer): string | undefined =>
  ((body['link'] ?? []) as unknown as { relation: string; url: string }[]).find(({ relation }) => relation === 'next')
    ?.url;

test('[A3] every role is refused, and recorded, on what no rule permits it', async () => {
  const put: Call = { path: `/Patient/${alice}`, method: 'PUT', json: { ...ALICE, id: alice } };
  const calls: Readonly<Record<string, Call>> = {
    read: { path: `/Patient/${alice}` },
    search: { path: '/Patient' },
    history: { path: `/Patient/${alice}/_history` },
    result: { path: `/Observation/${aliceResult}` },
    document: { path: '/DocumentReference' },
    create: { path: '/Patient', json: BOB },
    update: put,
    delete: { path: `/Patient/${alice}`, method: 'DELETE' },
  };
  const writes = ['create', 'update', 'delete'];
  const forbidden: Readonly<Record<string, readonly string[]>> = {
    billing: ['history', 'result', 'document', ...writes],
    researcher: ['history', 'document', ...writes],
    partner: ['history', 'result', 'document', ...writes],
    auditor: Object.keys(calls),
    admin: Object.keys(calls),
    nobody: Object.keys(calls),
  };
  const counts = await countsOf(product, ['Patient']);
  for (const [role, names] of Object.entries(forbidden)) {
    const token = await product.token({ role, purpose: role === 'nobody' ? 'TREAT' : undefined } as TokenChoice);
    for (const name of names)
      await assertRefused(product, { ...calls[name], token } as Call, '403 ACCESS_DENIED', `${role} ${name}`);
  }
  assert.deepEqual(await countsOf(product, ['Patient']), counts);
});

test('[A3] a patient reads, finds and pages through the own record only', async () => {
  const own = { role: 'patient', patient: alice };
  const denied: readonly Call[] = [
    { path: `/Patient/${bob}` },
    { path: `/Patient/${bob}/_history/1` },
    { path: `/Observation/${bobResult}` },
    { path: `/Observation/${bobResult}/_history/1` },
    { path: `/Patient/${alice}/_history` },
    { path: '/Observation', json: resultOf(alice) },
    { path: `/Observation/${aliceResult}`, method: 'DELETE' },
  ];
  for (const call of denied) assert.equal(refusalOf(await as(own, call)), '403 ACCESS_DENIED', JSON.stringify(call));
  assert.deepEqual(found(await as(own, { path: '/Patient' })), [alice]);
  assert.deepEqual(found(await as(own, { path: '/Observation' })), [aliceResult]);
  for (const query of [
    `_id=${bobResult}`,
    `patient=${bob}`,
    `subject=Patient/${bob}`,
    `patient=${alice},${bob}&_id=${bobResult}`,
  ])
    assert.deepEqual(found(await as(own, { path: `/Observation?${query}` })), [], query);
  const searched = await as(own, { method: 'POST', path: '/Patient/_search', form: { family: 'Bobek' } });
  assert.deepEqual([searched.status, found(searched)], [200, []]);
});

test('[A3] neither totals nor links tell a patient how many records others have', async () => {
  const own = { role: 'patient', patient: alice };
  for (const path of [
    '/Observation?_total=accurate&_count=0',
    '/Observation?_total=accurate',
    '/Patient?_total=accurate',
  ]) {
    const { body } = await as(own, { path });
    const shown = (body['entry'] as unknown as unknown[] | undefined) ?? [];
    const total = body['total'] as unknown as number | undefined;
    assert.ok(total === undefined || (total > 0 && total === shown.length), path);
    assert.doesNotMatch(JSON.stringify(body['link']), /_count|_total|patient|Patient%2F/, path);
  }
});

test('[A3] a history limited to one patient tells nothing of another: no total, no deletion, no existence', async () => {
  const limited = { role: 'clinician', scope: 'patient/*.cruds', patient: alice };
  const other = await as(limited, { path: `/Observation/${bobResult}/_history` });
  assert.equal(refusalOf(other), '403 ACCESS_DENIED', JSON.stringify(other.body));
});

test('[A3] chains and _has are no oracles: not about others, not about closed classes, not about types one may not search', async () => {
  const own: TokenChoice = { role: 'patient', patient: alice };
  const refused: readonly (readonly [who: TokenChoice, type: string, name: string, value: string])[] = [
    [own, 'Observation', 'subject:Patient.family', 'Bobek'],
    [own, 'Observation', 'patient.birthdate', '1991'],
    [own, 'Patient', 'link:Patient.name', 'Bobek'],
    [own, 'Patient', '_has:Observation:patient:code', '718-7'],
    [{ role: 'researcher' }, 'Observation', 'patient.name', 'Bobek'],
    [{ role: 'researcher' }, 'Observation', 'patient.birthdate', '1991'],
    [{ role: 'billing' }, 'Encounter', 'patient.identifier', 'M-1'],
    [{ role: 'billing' }, 'Encounter', 'patient.phone', '1'],
    [{ role: 'billing' }, 'Patient', '_has:Observation:patient:code', '718-7'],
    [{ role: 'partner' }, 'Encounter', 'patient.organization.name', 'General'],
  ];
  for (const [who, type, name, value] of refused) {
    const answer = await as(who, { path: `/${type}/_search`, form: { [name]: value } });
    assert.equal(refusalOf(answer), '403 ACCESS_DENIED', name);
    assert.doesNotMatch(JSON.stringify(answer.body), /Bobek|"1991/);
  }
});

test('[P1] what asks for sealed values through a link, or cannot be answered rightly, is refused in a URL', async () => {
  const queries = [
    'subject.name=Bobek',
    'subject:Patient.family=Bobek',
    'patient:Patient.birthdate=1991-01-02',
    '_include=*',
    '_filter=subject%20eq%20x',
    '_query=everything',
    '_contained=both',
  ];
  for (const query of queries) {
    const answer = await as({ role: 'clinician' }, { path: `/Observation?${query}` });
    assert.equal(answer.status, 400, query);
    assert.doesNotMatch(JSON.stringify(answer.body), /Bobek|"1991/);
  }
});

test('[A3] a scope that is not SMART v2 or v1, not of this type, or of a patient without a patient, grants nothing', async () => {
  const useless = [
    '',
    'launch/patient openid',
    'user/Observation.rs',
    'user/Patient.s',
    'user/Patient.cud',
    'user/Patient.sr',
    'user/Patient.r?_id=1',
    'user/patient.r',
    'user/Pat*.r',
    'user/*',
    '*/*.*',
    'USER/*.r',
    'user/Patient.rs,user/*.rs',
    'patient/*.cruds',
  ];
  for (const scope of useless)
    assert.equal(
      refusalOf(await as({ role: 'clinician', scope }, { path: `/Patient/${alice}` })),
      '403 ACCESS_SCOPE',
      scope,
    );
  for (const scope of ['user/Patient.r', 'user/*.read', 'system/*.*', 'openid user/Patient.rs'])
    assert.equal((await as({ role: 'clinician', scope }, { path: `/Patient/${alice}` })).status, 200, scope);
});

test('[A3] a scope of one patient narrows a clinician to that patient, and permits no writing', async () => {
  const limited = { role: 'clinician', scope: 'patient/*.cruds', patient: alice };
  assert.equal((await as(limited, { path: `/Patient/${alice}` })).status, 200);
  const denied: readonly Call[] = [
    { path: `/Patient/${bob}` },
    { path: `/Observation/${bobResult}` },
    { path: '/Observation', json: resultOf(alice) },
    { path: '/', json: transaction([['POST', 'Observation', resultOf(bob)]]) },
  ];
  for (const call of denied)
    assert.equal(refusalOf(await as(limited, call)), '403 ACCESS_DENIED', JSON.stringify(call));
});

test('[A2] no second factor, no purpose, or the purpose of another role: no record', async () => {
  const cases: readonly (readonly [refusal: string, choice: TokenChoice])[] = [
    ['401 IDENTITY_MFA_REQUIRED', { role: 'clinician', mfa: false }],
    ['401 IDENTITY_MFA_REQUIRED', { role: 'billing', mfa: false }],
    ['401 IDENTITY_MFA_REQUIRED', { role: 'researcher', mfa: false }],
    ['403 ACCESS_DENIED', { role: 'clinician', purpose: '' }],
    ['403 ACCESS_DENIED', { role: 'clinician', purpose: 'HPAYMT' }],
    ['403 ACCESS_DENIED', { role: 'billing', purpose: 'TREAT' }],
    ['403 ACCESS_DENIED', { role: 'patient', patient: alice, purpose: 'TREAT' }],
    ['403 ACCESS_SCOPE', { role: 'patient' }],
  ];
  for (const [refusal, choice] of cases)
    await assertRefused(
      product,
      { path: `/Patient/${alice}`, token: await product.token(choice) },
      refusal,
      JSON.stringify(choice),
    );
  const header = { 'x-purpose-of-use': 'TREAT' };
  assert.equal(
    refusalOf(await as({ role: 'clinician', purpose: '' }, { path: `/Patient/${alice}`, headers: header })),
    '403 ACCESS_DENIED',
  );
});

test('[A4] whoever may not open a class may not search by it: no answer is an oracle', async () => {
  const forms: Readonly<Record<string, Record<string, string>>> = {
    phone: { phone: '+1 555 010 4711' },
    identifier: { identifier: 'MRN-4711-0815' },
    name: { family: 'Alvarez' },
    birthdate: { birthdate: '1984-07-11' },
    year: { birthdate: '1984' },
    postcode: { 'address-postalcode': '04711' },
  };
  const forbidden: Readonly<Record<string, readonly string[]>> = {
    billing: ['phone', 'identifier'],
    researcher: Object.keys(forms),
    partner: ['phone', 'identifier', 'birthdate', 'year', 'postcode'],
  };
  for (const [role, names] of Object.entries(forbidden)) {
    for (const name of names) {
      const right = await searchAs(role, forms[name] as Record<string, string>);
      const wrong = await searchAs(role, { [Object.keys(forms[name] ?? {})[0] ?? '']: '1900' });
      assert.deepEqual(
        [refusalOf(right), refusalOf(wrong)],
        ['403 ACCESS_DENIED', '403 ACCESS_DENIED'],
        `${role} ${name}`,
      );
    }
    for (const sort of ['family', 'birthdate', '-phone', 'address-postalcode'])
      assert.equal(
        (await product.fhir({ path: `/Patient?_sort=${sort}`, role })).status,
        400,
        `${role} sorts by ${sort}`,
      );
  }
  assert.deepEqual(found(await searchAs('billing', forms['name'] ?? {})), [alice], 'a permitted search finds');
});

test('[A4] no answer to billing, researcher or partner holds what their rule does not open', async () => {
  const { identifier, telecom, name, address, birthDate } = ALICE;
  const hidden: Readonly<Record<string, readonly (string | undefined)[]>> = {
    billing: [identifier[0]?.value, telecom[0]?.value],
    researcher: [
      identifier[0]?.value,
      telecom[0]?.value,
      name[0]?.family,
      address[0]?.city,
      birthDate,
      birthDate.slice(4),
    ],
    partner: [identifier[0]?.value, telecom[0]?.value, address[0]?.city, address[0]?.postalCode, birthDate],
  };
  for (const [role, texts] of Object.entries(hidden)) {
    const answers = [
      await product.fhir({ path: `/Patient/${alice}`, role }),
      await product.fhir({ path: '/Patient', role }),
    ];
    for (const { status, body } of answers) {
      assert.equal(status, 200);
      for (const text of texts) assert.ok(!JSON.stringify(body).includes(text ?? ''), `${role} sees ${text}`);
      assert.doesNotMatch(JSON.stringify(body), /kw1\.|kwi1|urn:keyward/);
    }
  }
});

test('[A4] what was seen in part cannot be written back: by its tag, by its ETag, alone or in bundles', async () => {
  const { body: partial, headers } = await product.fhir({ path: `/Patient/${alice}`, role: 'billing' });
  const { meta: _meta, ...untagged } = partial as unknown as Record<string, unknown>;
  const put = (json: unknown, ifMatch?: string): Call => ({
    path: `/Patient/${alice}`,
    method: 'PUT',
    role: 'clinician',
    json,
    ...(ifMatch ? { headers: { 'if-match': ifMatch } } : {}),
  });
  const attempts: readonly Call[] = [
    put(partial),
    put({ ...untagged, meta: { tag: [{ code: 'SUBSETTED' }] } }),
    put(untagged, String(headers['etag'])),
    put(untagged, `${String(headers['etag'])}, W/"1"`),
    { path: '/Patient', role: 'clinician', json: partial },
    { path: '/', role: 'clinician', json: transaction([['PUT', `Patient/${alice}`, partial]]) },
    {
      path: '/',
      role: 'clinician',
      json: transaction([['PUT', `Patient/${alice}`, untagged, String(headers['etag'])]]),
    },
  ];
  for (const [index, call] of attempts.entries()) {
    const answer = await product.fhir(call);
    assert.ok(answer.status >= 400 && answer.status < 500, `attempt ${index}: ${answer.status}`);
  }
  const [batch] = entriesOf(
    await product.fhir({ path: '/', role: 'clinician', json: batchOf([['PUT', `Patient/${alice}`, partial]]) }),
  );
  assert.equal(batch?.['response']?.['status'], '409');
  const { body } = await product.fhir({ path: `/Patient/${alice}`, role: 'clinician' });
  assert.equal(body['telecom']?.[0]?.['value'], ALICE.telecom[0]?.value, 'nothing was erased');
});

test('[A3] in a batch every entry is judged for itself; a transaction with one forbidden entry does nothing', async () => {
  const counts = await countsOf(product, ['Patient']);
  const mixed = await product.fhir({
    path: '/',
    role: 'billing',
    json: batchOf([
      ['GET', `Patient/${alice}`],
      ['GET', `Observation/${aliceResult}`],
      ['GET', `Patient/${alice}/_history`],
      ['GET', 'Patient?family=Alvarez'],
      ['POST', 'Patient', BOB],
      ['POST', 'Patient/_search'],
      ['GET', 'Patient/../Observation'],
      ['POST', '', batchOf([['GET', `Patient/${alice}`]])],
      ['POST', '?_format=json', batchOf([['GET', `Patient/${alice}`]])],
    ]),
  });
  const got = entriesOf(mixed).map(({ response }) => textOf(response?.['status']));
  assert.deepEqual(got, ['200', '403', '403', '400', '403', '400', '400', '400', '400']);
  assert.doesNotMatch(JSON.stringify(mixed.body), /4711-0815|confidence/);
  const transacted = await product.fhir({
    path: '/',
    token: await product.token({ role: 'clinician', scope: 'user/Patient.cruds' }),
    json: transaction([
      ['POST', 'Patient', BOB],
      ['POST', 'Observation', resultOf(bob)],
    ]),
  });
  assert.equal(refusalOf(transacted), '403 ACCESS_SCOPE');
  assert.deepEqual(await countsOf(product, ['Patient']), counts);
});

test('[A3] a page link works for nobody else, for no other type, and not altered', async () => {
  const first = await product.fhir({ path: '/Patient?_count=1', role: 'clinician' });
  const url = nextLink(first);
  assert.ok(url, 'there is a second page');
  assert.doesNotMatch(url, /_count|_id|Patient%2F/);
  const path = url.slice(product.base.length);
  const cursor = path.split('_cursor=')[1] ?? '';
  assert.equal((await product.fhir({ path, role: 'clinician' })).status, 200, 'it works for who got it');
  const flipped = `${cursor.slice(0, -10)}${cursor.at(-10) === 'A' ? 'B' : 'A'}${cursor.slice(-9)}`;
  const attempts: readonly Call[] = [
    { path, role: 'billing' },
    { path, role: 'patient', token: await product.token({ role: 'patient', patient: alice }) },
    { path: path.replace('Patient', 'Observation'), role: 'clinician' },
    { path: `/Patient/${alice}/_history?_cursor=${cursor}`, role: 'clinician' },
    { path: `/Patient?_cursor=${flipped}`, role: 'clinician' },
    { path: `/Patient?_cursor=${cursor.slice(0, 40)}`, role: 'clinician' },
    { path: '/Patient?_cursor=kw1.AAAA', role: 'clinician' },
    { path: '/Patient?_cursor=', role: 'clinician' },
    { path: `${path}&_id=1`, role: 'clinician' },
    { path: `${path}&_cursor=${cursor}`, role: 'clinician' },
  ];
  for (const [index, call] of attempts.entries())
    assert.equal(refusalOf(await product.fhir(call)), '400 FHIR_CURSOR_INVALID', `attempt ${index}`);
});

test('[A3] a page link ends: an hour later, and for another subject, it opens nothing', async () => {
  const [keys, engine] = [createMemoryKeys(), createEngine()];
  const exchangeAt = (nowMs: number, sub = 'alice') =>
    ({
      gateway: { tenant: 'test', keys, engine, clock: { now: () => new Date(nowMs) } },
      principal: { issuer: 'urn:test', sub, role: 'clinician', purpose: 'TREAT' },
      route: { name: 'search', type: 'Patient', id: '' },
      correlationId: 'test',
    }) as unknown as Exchange;
  const cursor = await sealCursor(exchangeAt(0), '/Patient?page=2', undefined);
  assert.equal((await openCursor(exchangeAt(3_599_999), cursor)).path, '/Patient?page=2');
  await assert.rejects(openCursor(exchangeAt(3_600_001), cursor), { code: 'FHIR_CURSOR_INVALID' });
  await assert.rejects(openCursor(exchangeAt(0, 'mallory'), cursor), { code: 'FHIR_CURSOR_INVALID' });
});

type Entry = readonly [method: string, url: string, resource?: unknown, ifMatch?: string];
const bundleOf = (type: string, entries: readonly Entry[]) => ({
  resourceType: 'Bundle',
  type,
  entry: entries.map(([method, url, resource, ifMatch]) => ({
    ...(resource ? { resource } : {}),
    request: { method, url, ...(ifMatch ? { ifMatch } : {}) },
  })),
});
const transaction = (entries: readonly Entry[]) => bundleOf('transaction', entries);
const batchOf = (entries: readonly Entry[]) => bundleOf('batch', entries);
const entriesOf = ({ body }: Answer): Body[] => (body['entry'] ?? []) as unknown as Body[];
