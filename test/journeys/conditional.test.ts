/** Conditional writes and references: as a client states them, and what must be refused. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type Answer, type Call, filesHolding, type Product, startProduct } from '../support/product.ts';
import { type Json, RecordingUpstream } from '../support/recording-upstream.ts';
import {
  bundle,
  type Entry,
  entryOutcome,
  header,
  MRN,
  observation,
  outcome,
  pathOf,
  patient,
  responses,
  text,
} from '../support/writes.ts';

const NPI = 'http://hl7.org/fhir/sid/us-npi';

const practitioner = (npi: string) => ({ resourceType: 'Practitioner', identifier: [{ system: NPI, value: npi }] });
const criteria = (mrn: string): string => `identifier=${encodeURIComponent(`${MRN}|${mrn}`)}`;

let product: Product;
before(async () => {
  product = await startProduct();
});
const clinician = (call: Call): Promise<Answer> => product.fhir({ role: 'clinician', ...call });
const inBundle = (type: 'batch' | 'transaction', ...entry: Entry[]) =>
  clinician({ path: '/', json: bundle(type, ...entry) });
const found = async (mrn: string): Promise<string[]> => {
  const answer = await clinician({ path: '/Patient/_search', form: { identifier: `${MRN}|${mrn}` } });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return ((answer.body['entry'] ?? []) as unknown as { resource: { id: string } }[]).map(({ resource }) => resource.id);
};
const created = async (resource: { readonly resourceType: string }): Promise<string> => {
  const answer = await clinician({ path: `/${resource.resourceType}`, json: resource });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return text(answer.body['id']);
};
const createIfNone = (mrn: string, headers: Record<string, string> = {}) =>
  clinician({ path: '/Patient', json: patient(mrn), headers: { 'if-none-exist': criteria(mrn), ...headers } });

test('[E1] twenty conditional creates at once make one Patient, and everybody is told the same one', async () => {
  const mrn = randomUUID();
  const answers = await Promise.all(Array.from({ length: 20 }, () => createIfNone(mrn)));
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((left, right) => left - right),
    [...Array.from({ length: 19 }, () => 200), 201],
    JSON.stringify(answers.map(outcome)),
  );
  const [only, ...more] = await found(mrn);
  assert.deepEqual(more, []);
  assert.deepEqual(new Set(answers.map((answer) => pathOf(header(answer, 'location')))), new Set([`Patient/${only}`]));
});

test('[E1, A4] a conditional create that finds its resource writes nothing, and opens it only for who asks to see it', async () => {
  const mrn = randomUUID();
  const id = await created(patient(mrn, { gender: 'female' }));
  const silent = await createIfNone(mrn);
  assert.deepEqual([silent.status, silent.body as unknown, header(silent, 'etag')], [200, '', 'W/"1"']);
  const asked = await createIfNone(mrn, { prefer: 'return=representation' });
  assert.deepEqual([asked.status, text(asked.body['id']), text(asked.body['gender'])], [200, id, 'female']);
  assert.equal((await clinician({ path: `/Patient/${id}/_history` })).body['entry']?.[1], undefined);
});

test('[L1] the ledger tells what a condition opened to find its resource, and that nothing was written', async () => {
  const mrn = randomUUID();
  const id = await created(patient(mrn));
  const answer = await createIfNone(mrn);
  const entries = await product.ledger(`&correlationId=${header(answer, 'x-correlation-id')}`);
  const events = entries
    .map(({ event }) => event as unknown as { class: string; resources?: string[]; classes?: string[] })
    .filter((event) => event.class !== 'key.access');
  assert.deepEqual(
    events.map((event) => [event.class, event.resources ?? [], event.classes ?? []]),
    [
      ['write.intent', ['Patient'], []],
      ['disclosure', [`Patient/${id}`], ['identifier']],
      ['write.outcome', [], []],
    ],
  );
});

test('[E2] in a transaction an existing patient stands for the one that was to be created', async () => {
  const mrn = randomUUID();
  const id = await created(patient(mrn));
  const urn = `urn:uuid:${randomUUID()}`;
  const answer = await inBundle(
    'transaction',
    { fullUrl: urn, resource: patient(mrn), request: { method: 'POST', url: 'Patient', ifNoneExist: criteria(mrn) } },
    { resource: observation(urn), request: { method: 'POST', url: 'Observation' } },
  );
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const [first, second] = responses(answer);
  assert.deepEqual(
    [first?.status, pathOf(first?.location), second?.status.slice(0, 3)],
    ['200', `Patient/${id}`, '201'],
  );
  const read = await clinician({ path: `/${pathOf(second?.location)}` });
  assert.deepEqual(
    [text(read.body['subject']?.['reference']), text(read.body['code']?.['text'])],
    [`Patient/${id}`, 'Weight at home'],
  );
  assert.deepEqual(await found(mrn), [id]);
});

test('[E1] a transaction whose conditions all found something is answered without asking the upstream to write', async () => {
  const mrn = randomUUID();
  const id = await created(patient(mrn));
  const entry = (value: string): Entry => ({
    resource: patient(value),
    request: { method: 'POST', url: 'Patient', ifNoneExist: criteria(value) },
  });
  const answer = await inBundle('transaction', entry(mrn), {
    request: { method: 'DELETE', url: `Patient?${criteria(randomUUID())}` },
  });
  assert.deepEqual(
    responses(answer).map(({ status, location }) => [status, pathOf(location)]),
    [
      ['200', `Patient/${id}`],
      ['204', ''],
    ],
  );
});

test('[E1] a conditional update creates what nothing fulfils, updates the one that does, and never guesses among several', async () => {
  const mrn = randomUUID();
  const update = (more: object = {}) =>
    inBundle('batch', { resource: patient(mrn, more), request: { method: 'PUT', url: `Patient?${criteria(mrn)}` } });
  const first = responses(await update())[0];
  const second = responses(await update({ gender: 'male' }))[0];
  assert.deepEqual([first?.status, second?.status], ['201', '200'], JSON.stringify([first, second]));
  const [id = ''] = await found(mrn);
  const read = await clinician({ path: `/Patient/${id}` });
  assert.deepEqual([text(read.body['gender']), text(read.body['meta']?.['versionId'])], ['male', '2']);
  await created(patient(mrn));
  const third = responses(await update())[0];
  assert.equal(entryOutcome(third), '412 FHIR_MULTIPLE_MATCHES');
});

test('[E1] a conditional update takes the id in the body where nothing fulfils it, and refuses another than that of the match', async () => {
  const [mrn, id] = [randomUUID(), randomUUID()];
  const update = (bodyId: string, value = mrn) =>
    inBundle('batch', {
      resource: patient(value, { id: bodyId }),
      request: { method: 'PUT', url: `Patient?${criteria(value)}` },
    }).then((answer) => entryOutcome(responses(answer)[0]));
  assert.deepEqual(
    [await update(id), await update(id), await update(randomUUID()), await update(id, randomUUID())],
    ['201', '200', '400 FHIR_RESOURCE_INVALID', '409 FHIR_CONFLICT'],
  );
  assert.deepEqual(await found(mrn), [id]);
});

test('[E1] a conditional delete deletes the one, is content with none, and leaves several alone', async () => {
  const mrn = randomUUID();
  const remove = async () => {
    const answer = await inBundle('batch', { request: { method: 'DELETE', url: `Patient?${criteria(mrn)}` } });
    return responses(answer)[0]?.status;
  };
  await created(patient(mrn));
  assert.deepEqual([await remove(), await found(mrn), await remove()], ['204', [], '204']);
  await Promise.all([created(patient(mrn)), created(patient(mrn))]);
  assert.deepEqual([await remove(), (await found(mrn)).length], ['412', 2]);
});

test('[P1] criteria that identify nobody may stand in the URL of an update or delete', async () => {
  const name = randomUUID();
  const organization = { resourceType: 'Organization', identifier: [{ system: 'urn:example:org', value: name }] };
  const path = `/Organization?identifier=${encodeURIComponent(`urn:example:org|${name}`)}`;
  const make = await clinician({ method: 'PUT', path, json: organization });
  const change = await clinician({ method: 'PUT', path, json: { ...organization, active: true } });
  assert.deepEqual([make.status, change.status, header(change, 'etag')], [201, 200, 'W/"2"']);
  assert.equal((await clinician({ method: 'DELETE', path })).status, 204);
  assert.equal((await clinician({ path: `/Organization/${text(make.body['id'])}` })).status, 410);
});

test('[E7] a condition by birth date means the day, although the upstream only knows the year', async () => {
  const family = `Born${randomUUID().slice(0, 8)}`;
  const born = (birthDate: string) => ({ ...patient(randomUUID()), name: [{ family }], birthDate });
  await created(born('1980-05-13'));
  const create = () =>
    clinician({
      path: '/Patient',
      json: born('1980-05-12'),
      headers: { 'if-none-exist': `family=${family}&birthdate=1980-05-12` },
    });
  const [first, second] = [await create(), await create()];
  assert.deepEqual([outcome(first), outcome(second)], ['201', '200']);
  assert.equal(pathOf(header(second, 'location')), `Patient/${text(first.body['id'])}`);
});

test('[E1] conditional references of a transaction become references to what they mean', async () => {
  const [npi, fresh, mrn] = [randomUUID(), randomUUID(), randomUUID()];
  const [known, id] = [await created(practitioner(npi)), await created(patient(mrn))];
  const by = (value: string) => ({ reference: `Practitioner?identifier=${NPI}|${value}` });
  const answer = await inBundle(
    'transaction',
    {
      fullUrl: `urn:uuid:${randomUUID()}`,
      resource: practitioner(fresh),
      request: { method: 'POST', url: 'Practitioner', ifNoneExist: `identifier=${NPI}|${fresh}` },
    },
    {
      resource: observation(`Patient?identifier=${MRN}|${mrn}`, { performer: [by(npi), by(fresh)] }),
      request: { method: 'POST', url: 'Observation' },
    },
  );
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const [madeAt, observedAt] = responses(answer).map(({ location }) => pathOf(location));
  const read = await clinician({ path: `/${observedAt}` });
  assert.deepEqual(
    [read.body['subject'], read.body['performer']].map((value) => JSON.parse(JSON.stringify(value)) as unknown),
    [{ reference: `Patient/${id}` }, [{ reference: `Practitioner/${known}` }, { reference: madeAt }]],
  );
});

test('[E1, P1] conditions that cannot be kept are refused by name, and nothing is written', async () => {
  const [mrn, twice] = [randomUUID(), randomUUID()];
  await Promise.all([created(patient(twice)), created(patient(twice))]);
  const put = (url: string, resource: object = patient(mrn)): Call => ({
    method: 'PUT',
    path: `/${url}`,
    json: resource,
  });
  const post = (condition: string): Call => ({
    path: '/Patient',
    json: patient(mrn),
    headers: { 'if-none-exist': condition },
  });
  const transaction = (...entry: Entry[]): Call => ({ path: '/', json: bundle('transaction', ...entry) });
  const create = (ifNoneExist: string): Entry => ({
    resource: patient(mrn),
    request: { method: 'POST', url: 'Patient', ifNoneExist },
  });
  const observe = (reference: string): Entry => ({
    resource: observation(reference),
    request: { method: 'POST', url: 'Observation' },
  });
  // biome-ignore format: a table
  const cases: readonly (readonly [what: string, call: Call, outcome: string])[] = [
    ['an identifier in the URL of an update', put(`Patient?${criteria(mrn)}`), '400 FHIR_PHI_IN_URL'],
    ['an identifier in the URL of a delete', { method: 'DELETE', path: `/Patient?${criteria(mrn)}` }, '400 FHIR_PHI_IN_URL'],
    ['an update without criteria', put('Patient'), '400 FHIR_CONDITION_EMPTY'],
    ['a delete without criteria', { method: 'DELETE', path: '/Patient' }, '400 FHIR_CONDITION_EMPTY'],
    ['a delete with nothing but a format', { method: 'DELETE', path: '/Patient?_format=json' }, '400 FHIR_CONDITION_EMPTY'],
    ['a page as a criterion', put('Patient?_count=1'), '400 FHIR_PARAM_UNSUPPORTED'],
    ['an include as a criterion', post('_include=Patient:organization'), '400 FHIR_PARAM_UNSUPPORTED'],
    ['a link of a page as a criterion', { method: 'DELETE', path: '/Patient?_cursor=x' }, '400 FHIR_PARAM_UNSUPPORTED'],
    ['an unknown criterion', post('shoesize=44'), '400 FHIR_PARAM_UNSUPPORTED'],
    ['an empty If-None-Exist', post(''), '400 FHIR_CONDITION_EMPTY'],
    ['broken percent encoding', post('identifier=%ff'), '400 FHIR_PARAM_INVALID'],
    ['several matches', post(criteria(twice)), '412 FHIR_MULTIPLE_MATCHES'],
    ['If-None-Exist on an update', { ...put(`Patient/${randomUUID()}`), headers: { 'if-none-exist': 'active=true' } }, '501 FHIR_INTERACTION_UNSUPPORTED'],
    ['If-None-Match on an update', { ...put(`Patient/${randomUUID()}`), headers: { 'if-none-match': '*' } }, '501 FHIR_INTERACTION_UNSUPPORTED'],
    ['If-Match where nothing matches', { ...put('Patient?active=true&_id=none'), headers: { 'if-match': 'W/"1"' } }, '412 FHIR_PRECONDITION'],
    ['a conditional reference outside a transaction', { path: '/Observation', json: observation(`Patient?identifier=${mrn}`) }, '400 FHIR_PHI_IN_URL'],
    ['the same condition twice', transaction(create(criteria(mrn)), create(criteria(mrn))), '400 FHIR_BUNDLE_INVALID'],
    ['ifNoneExist on an update', transaction({ resource: patient(mrn), request: { method: 'PUT', url: `Patient?${criteria(mrn)}`, ifNoneExist: criteria(mrn) }, }), '400 FHIR_BUNDLE_INVALID'],
    ['parameters in the url of a create', transaction({ resource: patient(mrn), request: { method: 'POST', url: `Patient?${criteria(mrn)}` } }), '400 FHIR_BUNDLE_INVALID'],
    ['a search in a transaction', transaction({ request: { method: 'GET', url: `Patient?${criteria(mrn)}` } }), '501 FHIR_INTERACTION_UNSUPPORTED'],
    ['several matches in a transaction', transaction(create(criteria(twice))), '412 FHIR_MULTIPLE_MATCHES'],
    ['a reference to nobody', transaction(observe(`Patient?${criteria(mrn)}`)), '422 FHIR_REFERENCE_UNRESOLVED'],
    ['a reference to several', transaction(observe(`Patient?${criteria(twice)}`)), '412 FHIR_MULTIPLE_MATCHES'],
    ['a reference by another way', transaction(observe(`Patient/$match?${criteria(mrn)}`)), '400 FHIR_PHI_IN_URL'],
  ];
  for (const [what, call, expected] of cases) {
    const answer = await clinician(call);
    assert.equal(outcome(answer), expected, `${what}: ${JSON.stringify(answer.body)}`);
    assert.ok(!JSON.stringify(answer.body).includes(mrn), `${what}: the answer holds the identifier`);
  }
  assert.deepEqual([await found(mrn), (await found(twice)).length], [[], 2]);
});

test('[A3] a condition takes the permission to search, and to open what is searched by', async () => {
  const write = 'user/Patient.cud';
  const token = await product.token({ role: 'clinician', scope: write });
  const answer = await product.fhir({
    path: '/Patient',
    token,
    json: patient(randomUUID()),
    headers: { 'if-none-exist': criteria('x') },
  });
  assert.equal(outcome(answer), '403 ACCESS_SCOPE');
});

describe('behind the gateway stands a server that writes down all it gets', () => {
  let upstream: RecordingUpstream;
  let other: Product;
  before(async () => {
    upstream = await RecordingUpstream.start();
    other = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url } });
  });
  after(() => upstream.close());

  const scopeOf = (name: string): unknown => {
    const extensions = (upstream.stored.get(name)?.['extension'] ?? []) as { url: string; extension: Json[] }[];
    return extensions.find(({ url }) => url === 'urn:keyward:root')?.extension.find(({ url }) => url === 'scope')?.[
      'valueString'
    ];
  };
  const write = (mrn: string, more: object = {}): Call => ({
    path: '/',
    role: 'clinician',
    json: bundle(
      'transaction',
      {
        fullUrl: `urn:uuid:${mrn}`,
        resource: patient(mrn, more),
        request: { method: 'POST', url: 'Patient', ifNoneExist: criteria(mrn) },
      },
      { resource: observation(`urn:uuid:${mrn}`), request: { method: 'POST', url: 'Observation' } },
    ),
  });

  test('[E2, P1] a new record is sealed under the key of the patient that was found, and no criterion reaches the server', async () => {
    const mrn = randomUUID();
    const first = await other.fhir({
      path: '/Patient',
      role: 'clinician',
      json: patient(mrn),
      headers: { 'if-none-exist': criteria(mrn) },
    });
    assert.equal(first.status, 201, JSON.stringify(first.body));
    const answer = await other.fhir(write(mrn));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const [patientAt = '', observationAt = ''] = responses(answer).map(({ location }) => pathOf(location));
    assert.equal(patientAt, `Patient/${text(first.body['id'])}`);
    assert.ok(scopeOf(patientAt));
    assert.equal(scopeOf(observationAt), scopeOf(patientAt));
    assert.deepEqual(filesHolding(upstream.folder, new Set([mrn, 'Conditionson', MRN.toUpperCase()])), []);
    assert.notDeepEqual(filesHolding(upstream.folder, new Set(['if-none-exist'])), [], 'the guard was sent');
  });

  test('[L1, E2] when the server itself knows the patient, the transaction is not told to be done', async () => {
    const mrn = randomUUID();
    upstream.lie = (truth, { path }) => {
      const { entry } = (truth.body ?? {}) as { entry?: { response: Json }[] };
      if (path !== '/' || !entry?.[0]) return truth;
      return {
        ...truth,
        body: {
          ...(truth.body as Json),
          entry: [{ response: { ...entry[0].response, status: '200 OK' } }, ...entry.slice(1)],
        },
      };
    };
    try {
      const answer = await other.fhir(write(mrn));
      assert.equal(outcome(answer), '504 GATEWAY_OUTCOME_UNKNOWN');
      const entries = await other.ledger(`&correlationId=${header(answer, 'x-correlation-id')}`);
      const classes = entries.map((entry) => text(entry['class'])).filter((name) => name !== 'key.access');
      assert.deepEqual(classes, ['write.intent', 'disclosure', 'write.outcome', 'failure']);
    } finally {
      upstream.lie = (truth) => truth;
    }
  });

  test('[E1] when the server itself knows the resource of a single create, that one is named and nothing else is shown', async () => {
    const mrn = randomUUID();
    upstream.lie = (truth, { method, path }) =>
      method === 'POST' && path === '/Patient'
        ? { status: 200, headers: { location: `${upstream.url}/Patient/theirs/_history/3` }, body: '' }
        : truth;
    try {
      const answer = await other.fhir({
        path: '/Patient',
        role: 'clinician',
        json: patient(mrn),
        headers: { 'if-none-exist': criteria(mrn) },
      });
      assert.deepEqual(
        [answer.status, pathOf(header(answer, 'location')), answer.body as unknown],
        [200, 'Patient/theirs', ''],
      );
    } finally {
      upstream.lie = (truth) => truth;
    }
  });
});
