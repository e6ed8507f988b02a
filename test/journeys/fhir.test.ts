/** FHIR through the seal: each interaction as a client of any FHIR server would use it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { Agent, request } from 'undici';
import { type Answer, type Body, type Call, type Product, startProduct } from '../support/product.ts';

let product: Product;
before(async () => {
  product = await startProduct();
});

const clinician = (call: Call): Promise<Answer> => product.fhir({ role: 'clinician', ...call });
const codeOf = ({ body }: Answer): unknown => body['issue']?.[0]?.['details']?.['coding']?.[0]?.['code'];
const header = ({ headers }: Answer, name: string): string => String(headers[name] ?? '');
const plain = (body: unknown): { [name: string]: unknown } => body as { [name: string]: unknown };
const entries = ({
  body,
}: Answer): {
  resource: { id: string; [name: string]: unknown };
  fullUrl: string;
  request?: unknown;
  response: { status: string; location?: string };
}[] => (body['entry'] ?? []) as never;

const patient = (family: string, more: object = {}) => ({
  resourceType: 'Patient',
  name: [{ family, given: ['Test'] }],
  birthDate: '1980-05-12',
  ...more,
});

async function created(resource: object): Promise<{ id: string; answer: Answer }> {
  const answer = await clinician({ path: `/${String(plain(resource)['resourceType'])}`, json: resource });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return { id: String(plain(answer.body)['id']), answer };
}

test('[E1] create answers 201 with location, version, and what was sent; the id in the body is not taken', async () => {
  const sent = patient('Createson', { id: 'client-chosen' });
  const { id, answer } = await created(sent);
  assert.notEqual(id, 'client-chosen');
  assert.equal(header(answer, 'location'), `${product.base}/Patient/${id}/_history/1`);
  assert.equal(header(answer, 'etag'), 'W/"1"');
  const { id: _id, meta: _meta, ...rest } = plain(answer.body);
  const { id: _sentId, ...sentRest } = plain(sent);
  assert.deepEqual(rest, sentRest);
});

test('[E1] Prefer: return=minimal answers without a body', async () => {
  const answer = await clinician({ path: '/Patient', json: patient('Minimal'), headers: { prefer: 'return=minimal' } });
  assert.deepEqual([answer.status, answer.body as unknown], [201, '']);
});

test('[E1] update makes a new version, vread shows the old one, history shows both, newest first', async () => {
  const { id } = await created(patient('Before'));
  const update = await clinician({
    method: 'PUT',
    path: `/Patient/${id}`,
    json: patient('After', { id }),
    headers: { 'if-match': 'W/"1"' },
  });
  assert.deepEqual([update.status, header(update, 'etag')], [200, 'W/"2"']);
  const old = await clinician({ path: `/Patient/${id}/_history/1` });
  const now = await clinician({ path: `/Patient/${id}` });
  assert.equal(old.body['name']?.[0]?.['family'], 'Before');
  assert.equal(now.body['name']?.[0]?.['family'], 'After');
  const history = await clinician({ path: `/Patient/${id}/_history` });
  assert.deepEqual(
    entries(history).map(({ resource }) => (resource['name'] as { family: string }[])[0]?.family),
    ['After', 'Before'],
  );
});

test('[E1] a write under a stale If-Match is refused and changes nothing', async () => {
  const { id } = await created(patient('Current'));
  const stale = await clinician({
    method: 'PUT',
    path: `/Patient/${id}`,
    json: patient('Lost', { id }),
    headers: { 'if-match': 'W/"7"' },
  });
  assert.deepEqual([stale.status, codeOf(stale)], [412, 'FHIR_PRECONDITION']);
  assert.equal((await clinician({ path: `/Patient/${id}` })).body['name']?.[0]?.['family'], 'Current');
});

test('[E1] update creates under an id the client chose, unless the id tells who it is', async () => {
  const id = randomUUID();
  const fresh = await clinician({ method: 'PUT', path: `/Patient/${id}`, json: patient('Chosen', { id }) });
  assert.equal(fresh.status, 201);
  const mrn = 'MRN-44-112';
  const telling = await clinician({
    method: 'PUT',
    path: `/Patient/${mrn}`,
    json: patient('Telling', { id: mrn, identifier: [{ value: mrn }] }),
  });
  assert.deepEqual([telling.status, codeOf(telling)], [400, 'FHIR_ID_REFUSED']);
});

test('[E2] writers that create one Patient under one id at the same time all seal it under one key', async () => {
  const id = randomUUID();
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      clinician({ method: 'PUT', path: `/Patient/${id}`, json: patient(`Twelfth${n}`, { id }) }),
    ),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200, 201]));
  const scopes = await Promise.all(
    answers.map(async (answer) => {
      const written = await product.ledger(`&correlationId=${header(answer, 'x-correlation-id')}&class=write.outcome`);
      return written.flatMap(({ event }) => plain(event)['subjects'] as string[]);
    }),
  );
  assert.equal(scopes.flat().length, 12);
  assert.equal(new Set(scopes.flat()).size, 1, 'subject keys of one patient');
});

test('[E1] a deleted resource is gone, its earlier version can be read', async () => {
  const { id } = await created(patient('Deleted'));
  assert.equal((await clinician({ method: 'DELETE', path: `/Patient/${id}` })).status, 204);
  const gone = await clinician({ path: `/Patient/${id}` });
  assert.deepEqual([gone.status, codeOf(gone)], [410, 'FHIR_GONE']);
  assert.equal((await clinician({ path: `/Patient/${id}/_history/1` })).body['name']?.[0]?.['family'], 'Deleted');
});

test('[E1] a transaction resolves its own urn:uuid references, and a failing one leaves nothing behind', async () => {
  const name = `Transactor${randomUUID().slice(0, 8)}`;
  const urn = `urn:uuid:${randomUUID()}`;
  const observation = {
    resourceType: 'Observation',
    status: 'final',
    code: { text: 'Weight' },
    subject: { reference: urn },
    valueQuantity: { value: 70.5, unit: 'kg' },
  };
  const bundle = (extra: object[]) => ({
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      { fullUrl: urn, resource: patient(name), request: { method: 'POST', url: 'Patient' } },
      { fullUrl: `urn:uuid:${randomUUID()}`, resource: observation, request: { method: 'POST', url: 'Observation' } },
      ...extra,
    ],
  });
  const failing = await clinician({
    path: '/',
    json: bundle([
      { resource: patient('x', { id: 'x' }), request: { method: 'PUT', url: 'Patient/x', ifMatch: 'W/"9"' } },
    ]),
  });
  assert.ok(failing.status >= 400, JSON.stringify(failing.body));
  const search = () => clinician({ path: '/Patient/_search', form: { family: name } });
  assert.deepEqual(entries(await search()), []);
  const done = await clinician({ path: '/', json: bundle([]) });
  assert.equal(done.status, 200, JSON.stringify(done.body));
  assert.deepEqual(
    entries(done).map(({ response }) => response.status.slice(0, 3)),
    ['201', '201'],
  );
  const [patientAt = '', observationAt = ''] = entries(done).map(
    ({ response }) => response.location?.slice(product.base.length) ?? '',
  );
  const read = await clinician({ path: observationAt });
  assert.equal(read.body['subject']?.['reference'], patientAt.split('/').slice(1, 3).join('/'));
  assert.equal(entries(await search()).length, 1);
});

test('[E2] in a transaction only references to Patients decide whose record a resource is', async () => {
  const [patientUrn, doctorUrn] = [`urn:uuid:${randomUUID()}`, `urn:uuid:${randomUUID()}`];
  const post = (fullUrl: string, resource: object) => ({
    fullUrl,
    resource,
    request: { method: 'POST', url: String(plain(resource)['resourceType']) },
  });
  const observation = {
    resourceType: 'Observation',
    status: 'final',
    code: { text: 'Weight' },
    subject: { reference: patientUrn },
    performer: [{ reference: doctorUrn }],
  };
  const answer = await clinician({
    path: '/',
    json: {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        post(patientUrn, patient('Measured')),
        post(doctorUrn, { resourceType: 'Practitioner', active: true }),
        post(`urn:uuid:${randomUUID()}`, observation),
        post(`urn:uuid:${randomUUID()}`, { resourceType: 'Schedule', actor: [{ reference: doctorUrn }] }),
      ],
    },
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const [patientAt = '', , observationAt = ''] = entries(answer).map(({ response }) => response.location ?? '');
  const subjectsOf = async (location: string) => {
    const read = await clinician({ path: location.slice(product.base.length) });
    const list = await product.ledger(`&correlationId=${header(read, 'x-correlation-id')}`);
    return list.find((entry) => (entry['class'] as unknown) === 'disclosure')?.['event']?.['subjects'];
  };
  assert.deepEqual(await subjectsOf(observationAt), await subjectsOf(patientAt));
});

test('[E7] an identifier is found by value alone, whether it has a system or not', async () => {
  const [withSystem, without] = [`S${randomUUID()}`, `N${randomUUID()}`];
  const { id } = await created(
    patient('Numbered', { identifier: [{ system: 'urn:example:mrn', value: withSystem }, { value: without }] }),
  );
  for (const identifier of [withSystem, without, `urn:example:mrn|${withSystem}`, `|${without}`]) {
    const found = await clinician({ path: '/Patient/_search', form: { identifier } });
    assert.deepEqual(
      entries(found).map(({ resource }) => resource.id),
      [id],
      identifier,
    );
  }
});

test('[E1] a url that names another entry of a transaction is refused, since it would dangle', async () => {
  const urn = `urn:uuid:${randomUUID()}`;
  const answer = await clinician({
    path: '/',
    json: {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          fullUrl: urn,
          resource: { resourceType: 'Binary', contentType: 'text/plain', data: 'AAAA' },
          request: { method: 'POST', url: 'Binary' },
        },
        {
          resource: { resourceType: 'DocumentReference', status: 'current', content: [{ attachment: { url: urn } }] },
          request: { method: 'POST', url: 'DocumentReference' },
        },
      ],
    },
  });
  assert.deepEqual([answer.status, codeOf(answer)], [400, 'FHIR_BUNDLE_INVALID']);
});

test('[E1] a batch answers every entry for itself', async () => {
  const { id } = await created(patient('Batched'));
  const entry = (method: string, url: string, resource?: object) => ({
    request: { method, url },
    ...(resource ? { resource } : {}),
  });
  const answer = await clinician({
    path: '/',
    json: {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [
        entry('GET', `Patient/${id}`),
        entry('GET', `Patient/${randomUUID()}`),
        entry('POST', 'Patient', patient('New')),
        entry('GET', 'Patient?family=Batched'),
        entry('POST', 'Patient'),
      ],
    },
  });
  assert.equal(answer.status, 200);
  assert.deepEqual(
    entries(answer).map(({ response }) => response.status),
    ['200', '404', '201', '400', '400'],
  );
  assert.match(JSON.stringify(entries(answer)[0]), /"family":"Batched"/);
});

test('[E1] decimals keep their digits, primitives their extensions, arrays their holes', async () => {
  const raw =
    '{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.50},"referenceRange":[{"low":{"value":0.10},"text":"r"}]}';
  const answer = await clinician({
    path: '/Observation',
    raw,
    method: 'POST',
    headers: { 'content-type': 'application/fhir+json' },
  });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  const text = await rawText(`/Observation/${String(plain(answer.body)['id'])}`);
  assert.match(text, /"value":1\.50\b/);
  assert.match(text, /"value":0\.10\b/);
  const { id } = await created(
    patient('Extended', {
      name: [
        {
          _family: { extension: [{ url: 'http://example.org/x', valueString: 'y' }] },
          given: ['A', null, 'C'],
          _given: [
            null,
            {
              extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' }],
            },
            null,
          ],
        },
      ],
    }),
  );
  const { body } = await clinician({ path: `/Patient/${id}` });
  assert.deepEqual(body['name']?.[0]?.['given'], ['A', null, 'C']);
  assert.equal(body['name']?.[0]?.['_family']?.['extension']?.[0]?.['valueString'], 'y');
});

async function rawText(path: string): Promise<string> {
  const dispatcher = new Agent({ connect: { ca: product.ca } });
  const answer = await request(product.base + path, {
    dispatcher,
    headers: { authorization: `Bearer ${await product.token({ role: 'clinician' })}` },
  });
  const text = await answer.body.text();
  await dispatcher.close();
  return text;
}

test('[P1] pages are linked by sealed cursors that lead through every match once', async () => {
  const name = `Paged${randomUUID().slice(0, 8)}`;
  for (let index = 0; index < 5; index++) await created(patient(name));
  const seen: string[] = [];
  const whole = await clinician({ path: '/Patient/_search', form: { family: name } });
  assert.equal(whole.body['total'], 5, 'one whole page is its own total');
  let answer = await clinician({ path: '/Patient/_search', form: { family: name, _count: '2' } });
  assert.equal(answer.body['total'], undefined);
  for (;;) {
    seen.push(...entries(answer).map(({ resource }) => resource.id));
    const next = (answer.body['link'] as unknown as { relation: string; url: string }[]).find(
      ({ relation }) => relation === 'next',
    );
    if (!next) break;
    assert.match(next.url, /^https:\/\/localhost:\d+\/fhir\/Patient\?_cursor=kw1\.[\w-]+$/);
    answer = await clinician({ path: next.url.slice(product.base.length) });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
  assert.deepEqual([seen.length, new Set(seen).size], [5, 5]);
});

test('[E7] observations are found by patient, code and date, with chains refused', async () => {
  const { id } = await created(patient('Searched'));
  const observation = {
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '29463-7' }] },
    subject: { reference: `Patient/${id}` },
    effectiveDateTime: '2024-02-03',
  };
  const { id: wanted } = await created(observation);
  await created({ ...observation, code: { coding: [{ system: 'http://loinc.org', code: '8302-2' }] } });
  const found = await clinician({ path: `/Observation?patient=${id}&code=http://loinc.org|29463-7&date=ge2024-01-01` });
  assert.deepEqual(
    entries(found).map(({ resource }) => resource.id),
    [wanted],
  );
  assert.equal(entries(found)[0]?.fullUrl, `${product.base}/Observation/${wanted}`);
  assert.equal((await clinician({ path: '/Observation?patient.family=x' })).status, 400);
});

test('[E2] a resource of one patient is refused when that patient does not exist', async () => {
  const orphan = await clinician({
    path: '/Observation',
    json: {
      resourceType: 'Observation',
      status: 'final',
      code: { text: 'c' },
      subject: { reference: `Patient/${randomUUID()}` },
    },
  });
  assert.deepEqual([orphan.status, codeOf(orphan)], [422, 'FHIR_SUBJECT_UNKNOWN']);
});

test('[A3] metadata needs no token, names only what is supported, and points at the gateway', async () => {
  const { status, body } = await product.fhir({ path: '/metadata' });
  assert.equal(status, 200);
  assert.equal(body['implementation']?.['url'], product.base);
  const types = body['rest']?.[0]?.['resource'] as unknown as { type: string; searchParam: { name: string }[] }[];
  const names = types.find(({ type }) => type === 'Patient')?.searchParam.map(({ name }) => name) ?? [];
  for (const name of ['identifier', 'family', 'given', 'name', 'phone', 'email', 'birthdate'])
    assert.ok(names.includes(name), name);
  assert.ok(!names.includes('phonetic'));
});

test('[T3] every answer forbids storing and asks for HTTPS only', async () => {
  const answers = [
    await clinician({ path: '/Patient' }),
    await product.fhir({ path: '/Patient' }),
    await product.call(product.gatewayPort, { path: '/healthz' }),
    await product.call(product.gatewayPort, { path: '/nothing' }),
  ];
  for (const answer of answers) {
    assert.match(header(answer, 'strict-transport-security'), /^max-age=31536000/);
    assert.equal(header(answer, 'cache-control'), 'no-store');
  }
});

test('[L1] a write is in the ledger twice, a read once with the classes it opened, under the id of the answer', async () => {
  const { id, answer } = await created(patient('Recorded'));
  const of = (one: Answer) => product.ledger(`&correlationId=${header(one, 'x-correlation-id')}`);
  const classes = (list: Body[]) =>
    list.map((entry) => entry['class'] as unknown as string).filter((name) => name !== 'key.access');
  assert.deepEqual(classes(await of(answer)), ['write.intent', 'write.outcome']);
  const read = await clinician({ path: `/Patient/${id}` });
  const [disclosure] = (await of(read)).filter((entry) => (entry['class'] as unknown) === 'disclosure');
  assert.deepEqual(disclosure?.['event']?.['resources'], [`Patient/${id}`]);
  const opened = disclosure?.['event']?.['classes'] as unknown as string[] | undefined;
  assert.deepEqual(opened?.toSorted(), ['birthDate', 'name']);
  assert.doesNotMatch(JSON.stringify(disclosure), /Recorded|1980/);
});
