/** JSON Patch and raw Binary content: as a client uses them, and what must be refused. */
import assert from 'node:assert/strict';
import { refusalOf } from '../support/attacker.ts';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { Agent, request } from 'undici';
import { type Answer, type Call, type Product, startProduct } from '../support/product.ts';
import {
  bundle,
  type Entry,
  entryOutcome,
  header,
  observation,
  outcome,
  patient,
  responses,
  text,
} from '../support/writes.ts';

const PATCH = { 'content-type': 'application/json-patch+json' };

let product: Product;
before(async () => {
  product = await startProduct();
});
const clinician = (call: Call): Promise<Answer> => product.fhir({ role: 'clinician', ...call });
const inBundle = (type: 'batch' | 'transaction', ...entry: Entry[]) =>
  clinician({ path: '/', json: bundle(type, ...entry) });
const created = async (resource: { readonly resourceType: string }): Promise<string> => {
  const answer = await clinician({ path: `/${resource.resourceType}`, json: resource });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return text(answer.body['id']);
};

describe('JSON Patch', () => {
  const patch = (id: string, operations: unknown, headers: Record<string, string> = {}) =>
    clinician({
      method: 'PATCH',
      path: `/Patient/${id}`,
      raw: typeof operations === 'string' ? operations : JSON.stringify(operations),
      headers: { ...PATCH, ...headers },
    });

  test('[E1] a patch changes sealed and clear elements of the current version', async () => {
    const mrn = randomUUID();
    const id = await created(patient(mrn));
    const answer = await patch(id, [
      { op: 'test', path: '/name/0/family', value: 'Conditionson' },
      { op: 'replace', path: '/name/0/family', value: 'Patchson' },
      { op: 'add', path: '/telecom', value: [{ system: 'phone', value: '+1 555 0100 200' }] },
      { op: 'add', path: '/gender', value: 'other' },
    ]);
    assert.deepEqual([answer.status, header(answer, 'etag')], [200, 'W/"2"'], JSON.stringify(answer.body));
    assert.equal(text(answer.body['name']?.[0]?.['family']), 'Patchson');
    const read = await clinician({ path: `/Patient/${id}` });
    assert.deepEqual(
      [read.body['name']?.[0]?.['family'], read.body['telecom']?.[0]?.['value'], read.body['birthDate']].map(text),
      ['Patchson', '+1 555 0100 200', '1980-05-12'],
    );
    const search = await clinician({ path: '/Patient/_search', form: { family: 'Patchson', identifier: mrn } });
    assert.equal(text(search.body['entry']?.[0]?.['resource']?.['id']), id);
  });

  test('[E1] decimals keep their digits when something beside them is patched', async () => {
    const raw = JSON.stringify(observation(`Patient/${await created(patient(randomUUID()))}`)).replace('70.5', '70.50');
    const made = await clinician({ path: '/Observation', raw });
    const path = `/Observation/${text(made.body['id'])}`;
    const headers = { ...PATCH, prefer: 'return=minimal' };
    const done = await clinician({
      method: 'PATCH',
      path,
      raw: '[{"op":"replace","path":"/status","value":"amended"},{"op":"copy","from":"/valueQuantity/value","path":"/referenceRange","value":0}]',
      headers,
    });
    assert.ok(done.status >= 400, 'a range is no number');
    const better = await clinician({
      method: 'PATCH',
      path,
      raw: '[{"op":"replace","path":"/status","value":"amended"}]',
      headers,
    });
    assert.deepEqual([better.status, better.body as unknown], [200, '']);
    assert.match(await rawText(path), /"status":"amended".*"value":70\.50|"value":70\.50.*"status":"amended"/s);
  });

  /** As it stands on the wire: a parsed number has no digits to lose. */
  async function rawText(path: string): Promise<string> {
    const dispatcher = new Agent({ connect: { ca: product.ca } });
    const authorization = `Bearer ${await product.token({ role: 'clinician' })}`;
    const { body } = await request(`${product.base}${path}`, { dispatcher, headers: { authorization } });
    const answer = await body.text();
    await dispatcher.close();
    return answer;
  }

  test('[E1] patches of one record at the same time all count', async () => {
    const id = await created(patient(randomUUID(), { active: true }));
    const numbers = Array.from({ length: 8 }, (_, index) => `+1 555 010 00${index}`);
    const start = await patch(id, [
      { op: 'add', path: '/telecom', value: [{ system: 'phone', value: '+1 555 010 999' }] },
    ]);
    assert.equal(start.status, 200);
    const answers = await Promise.all(
      numbers.map((value) => patch(id, [{ op: 'add', path: '/telecom/-', value: { system: 'phone', value } }])),
    );
    assert.deepEqual(new Set(answers.map(outcome)), new Set(['200']));
    const read = await clinician({ path: `/Patient/${id}` });
    const stored = (read.body['telecom'] as unknown as { value: string }[]).map(({ value }) => value);
    assert.deepEqual(stored.toSorted(), [...numbers, '+1 555 010 999'].toSorted());
  });

  test('[L1] the ledger tells that the whole record was opened, before its new version was written', async () => {
    const id = await created(patient(randomUUID()));
    const answer = await patch(id, [{ op: 'add', path: '/gender', value: 'female' }]);
    const entries = await product.ledger(`&correlationId=${header(answer, 'x-correlation-id')}`);
    const events = entries
      .map(({ event }) => event as unknown as { class: string; interaction: string; resources?: string[] })
      .filter((event) => event.class !== 'key.access');
    assert.deepEqual(
      events.map((event) => [event.class, event.interaction, event.resources]),
      [
        ['disclosure', 'patch', [`Patient/${id}`]],
        ['write.intent', 'patch', [`Patient/${id}`]],
        ['write.outcome', 'patch', [`Patient/${id}/_history/2`]],
      ],
    );
  });

  test('[E1] a batch may patch: the operations are the content of a Binary', async () => {
    const id = await created(patient(randomUUID()));
    const data = Buffer.from(JSON.stringify([{ op: 'add', path: '/active', value: true }])).toString('base64');
    const entry = (resource: object): Entry => ({ resource, request: { method: 'PATCH', url: `Patient/${id}` } });
    const answer = await inBundle(
      'batch',
      entry({ resourceType: 'Binary', contentType: 'application/json-patch+json', data }),
      entry({ resourceType: 'Parameters', parameter: [] }),
      entry({ resourceType: 'Binary', contentType: 'text/plain', data }),
    );
    assert.deepEqual(responses(answer).map(entryOutcome), [
      '200',
      '501 FHIR_INTERACTION_UNSUPPORTED',
      '400 FHIR_PATCH_INVALID',
    ]);
  });

  test('[E1, A4] what a patch must not do is refused by name, and nothing is written', async () => {
    const id = await created(patient(randomUUID()));
    const good = [{ op: 'add', path: '/active', value: true }];
    // biome-ignore format: a table
    const cases: readonly (readonly [
      what: string,
      operations: unknown,
      headers: Record<string, string>,
      outcome: string,
    ])[] = [
      ['a test that fails', [{ op: 'test', path: '/name/0/family', value: 'Other' }, ...good], {}, '422 FHIR_PATCH_FAILED'],
      ['a path that leads nowhere', [...good, { op: 'remove', path: '/photo' }], {}, '422 FHIR_PATCH_FAILED'],
      ['an unknown operation', [{ op: 'increment', path: '/a' }], {}, '400 FHIR_PATCH_INVALID'],
      ['no operations', [], {}, '400 FHIR_PATCH_INVALID'],
      ['no JSON', '[', {}, '400 JSON_MALFORMED'],
      ['a way into the prototype', [{ op: 'add', path: '/__proto__/polluted', value: 1 }], {}, '400 FHIR_PATCH_INVALID'],
      ['a forbidden name in a value', '[{"op":"add","path":"/a","value":{"__proto__":1}}]', {}, '400 JSON_FORBIDDEN_KEY'],
      ['another id', [{ op: 'replace', path: '/id', value: 'other' }], {}, '400 FHIR_RESOURCE_INVALID'],
      ['another type', [{ op: 'replace', path: '/resourceType', value: 'Person' }], {}, '400 FHIR_RESOURCE_INVALID'],
      ['an element R4 does not have', [{ op: 'add', path: '/shoeSize', value: 44 }], {}, '400 FHIR_RESOURCE_INVALID'],
      ['a mark of ours', [{ op: 'add', path: '/extension', value: [{ url: 'urn:keyward:root', valueString: 'x' }] }], {}, '400 FHIR_RESERVED_EXTENSION'],
      ['a partial view', [{ op: 'add', path: '/meta/tag', value: [{ code: 'SUBSETTED' }] }], {}, '409 ACCESS_PARTIAL_WRITE'],
      ['the ETag of a partial view', good, { 'if-match': 'W/"1-subsetted"' }, '409 ACCESS_PARTIAL_WRITE'],
      ['a stale version', good, { 'if-match': 'W/"9"' }, '412 FHIR_PRECONDITION'],
      ['a FHIRPath patch', { resourceType: 'Parameters' }, { 'content-type': 'application/fhir+json' }, '501 FHIR_INTERACTION_UNSUPPORTED'],
      ['an XML patch', '<diff/>', { 'content-type': 'application/xml-patch+xml' }, '415 GATEWAY_CONTENT_TYPE'],
    ];
    for (const [what, operations, headers, expected] of cases)
      assert.equal(outcome(await patch(id, operations, headers)), expected, what);
    assert.equal(outcome(await patch(randomUUID(), good)), '404 FHIR_NOT_FOUND');
    const denied = await product.fhir({
      method: 'PATCH',
      path: `/Patient/${id}`,
      role: 'billing',
      raw: JSON.stringify(good),
      headers: PATCH,
    });
    assert.equal(outcome(denied), '403 ACCESS_DENIED');
    const unnamed = await clinician({
      method: 'PATCH',
      path: '/Patient?active=true',
      raw: JSON.stringify(good),
      headers: PATCH,
    });
    assert.equal(outcome(unnamed), '501 FHIR_INTERACTION_UNSUPPORTED');
    assert.equal(header(await clinician({ path: `/Patient/${id}` }), 'etag'), 'W/"1"');
  });

  test('[A4] who may update but not read may not patch: a test would tell what a value is, a copy would put it in clear', async () => {
    const id = await created(patient(randomUUID()));
    const token = await product.token({ role: 'clinician', scope: 'user/Patient.u' });
    const raw = JSON.stringify([{ op: 'test', path: '/name/0/family', value: 'Guess' }]);
    const answer = await product.fhir({ method: 'PATCH', path: `/Patient/${id}`, token, raw, headers: PATCH });
    assert.equal(refusalOf(answer), '403 ACCESS_SCOPE');
  });
});

describe('Binary content', () => {
  const PDF = Buffer.from('%PDF-1.7 an invented letter');
  const pdf = (more: Partial<Call> = {}): Call => ({
    path: '/Binary',
    raw: PDF,
    ...more,
    headers: { 'content-type': 'application/pdf', ...more.headers },
  });

  test('[E1] bytes come back as they were sent, to be saved and not shown', async () => {
    const made = await clinician(pdf());
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const path = `/Binary/${text(made.body['id'])}`;
    const headers = [
      { accept: 'application/pdf' },
      { accept: '*/*' },
      { accept: 'image/png, application/*;q=0.5' },
      {},
    ];
    for (const asked of headers) {
      const read = await clinician({ path, headers: asked });
      assert.deepEqual(
        ['content-type', 'content-disposition', 'x-content-type-options', 'cache-control', 'etag'].map((name) =>
          header(read, name),
        ),
        ['application/pdf', 'attachment', 'nosniff', 'no-store', 'W/"1"'],
        JSON.stringify(asked),
      );
      assert.equal(text(read.body), PDF.toString());
    }
    const json = await clinician({ path, headers: { accept: 'application/fhir+json' } });
    assert.deepEqual([json.body['resourceType'], json.body['contentType'], json.body['data']].map(text), [
      'Binary',
      'application/pdf',
      PDF.toString('base64'),
    ]);
    assert.equal(outcome(await clinician({ path, headers: { accept: 'image/png' } })), '406 GATEWAY_NOT_ACCEPTABLE');
  });

  test('[E1] an update replaces the bytes under the version it names', async () => {
    const made = await clinician(pdf());
    const path = `/Binary/${text(made.body['id'])}`;
    const text2 = { 'content-type': 'text/plain; charset=utf-8', 'if-match': 'W/"1"' };
    const update = await clinician({ method: 'PUT', path, raw: 'Grüße', headers: text2 });
    assert.equal(update.status, 200, JSON.stringify(update.body));
    const read = await clinician({ path, headers: { accept: 'text/plain' } });
    assert.deepEqual([header(read, 'content-type'), read.body as unknown], ['text/plain; charset=utf-8', 'Grüße']);
    assert.equal(outcome(await clinician({ method: 'PUT', path, raw: 'x', headers: text2 })), '412 FHIR_PRECONDITION');
  });

  test('[A3, E2] the security context decides whose it is', async () => {
    const [mine, other] = [await created(patient(randomUUID())), await created(patient(randomUUID()))];
    const made = await clinician(pdf({ headers: { 'x-security-context': `Patient/${mine}` } }));
    const path = `/Binary/${text(made.body['id'])}`;
    const as = async (patientId: string) =>
      product.fhir({
        path,
        token: await product.token({ role: 'patient', patient: patientId }),
        headers: { accept: '*/*' },
      });
    const read = await as(mine);
    assert.deepEqual([read.status, header(read, 'x-security-context')], [200, `Patient/${mine}`]);
    assert.equal(outcome(await as(other)), '403 ACCESS_DENIED');
    const stranger = pdf({ headers: { 'x-security-context': `Patient/${randomUUID()}` } });
    assert.equal(outcome(await clinician(stranger)), '422 FHIR_SUBJECT_UNKNOWN');
  });

  test('[E1] what is no content of a Binary is refused by name', async () => {
    // biome-ignore format: a table
    const cases: readonly (readonly [what: string, call: Call, outcome: string])[] = [
      ['no content type', { path: '/Binary', raw: 'x', headers: { 'content-type': '' } }, '415 GATEWAY_CONTENT_TYPE'],
      ['a form', pdf({ headers: { 'content-type': 'multipart/form-data; boundary=x' } }), '415 GATEWAY_CONTENT_TYPE'],
      ['FHIR in XML', pdf({ headers: { 'content-type': 'application/fhir+xml' } }), '415 GATEWAY_CONTENT_TYPE'],
      ['nothing', pdf({ raw: '' }), '400 GATEWAY_BODY_MISSING'],
      ['a context that is no reference', pdf({ headers: { 'x-security-context': 'Jane Doe' } }), '400 GATEWAY_HEADER_REFUSED'],
      ['a context of a resource', { path: '/Patient', json: patient('x'), headers: { 'x-security-context': 'Patient/1' } }, '501 FHIR_INTERACTION_UNSUPPORTED'],
      ['bytes for another type', pdf({ path: '/Patient' }), '415 GATEWAY_CONTENT_TYPE'],
      ['JSON that is no Binary', { path: '/Binary', json: patient('x') }, '400 FHIR_RESOURCE_INVALID'],
      ['more than the limit', pdf({ raw: new Uint8Array(10_485_760) }), '413 GATEWAY_BODY_TOO_LARGE'],
    ];
    for (const [what, call, expected] of cases) assert.equal(outcome(await clinician(call)), expected, what);
  });
});
