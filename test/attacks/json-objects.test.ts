/** Threat: clients of a JSON API get at objects inside those they may touch, or get texts of theirs to the API around the description. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Answer, type Call, type Product, startProduct } from '../support/product.ts';

type Row = { [member: string]: unknown };

/** Every If-Match the API was sent. */
const conditions: string[] = [];
/** What the API holds; a patch is kept as it came, since what the API makes of it is its own affair. */
const rows = new Map<string, Row>();
const api = createServer((request, response) => void answer(request, response));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const ifMatch = request.headers['if-match'];
  if (ifMatch !== undefined) conditions.push(ifMatch);
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const sent = chunks.length === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString()) as Row);
  const { method = '' } = request;
  const [, , named, part] = new URL(request.url ?? '', 'http://api.invalid').pathname.split('/');
  const id = named ?? (sent?.['id'] as string | undefined) ?? '';
  if (sent && method !== 'PATCH') rows.set(id, sent);
  const row = rows.get(id) ?? {};
  response.writeHead(method === 'POST' ? 201 : 200, { 'content-type': 'application/json', etag: 'W/"7"' });
  response.end(JSON.stringify(id === '' ? { items: [...rows.values()], total: rows.size } : part ? row[part] : row));
}

const phi = (fieldClass: string) => ({ type: 'string', 'x-phi': { class: fieldClass } });
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const listOf = (items: object) => ({ type: 'array', items });
const body = (schema: object, type = 'application/json') => ({ content: { [type]: { schema } } });
const PERSON = {
  name: phi('name'),
  phone: phi('contact'),
  aliases: listOf(phi('name')),
  address: ref('Address'),
  diagnoses: listOf(ref('Diagnosis')),
};
const CLINIC = {
  openapi: '3.1.0',
  paths: {
    '/people': {
      get: {
        parameters: [
          {
            in: 'query',
            name: 'zip',
            schema: { type: 'string' },
            'x-phi': { class: 'address', treatment: 'index', index: 'postalCode' },
            'x-phi-member': '/address/zip',
          },
        ],
        responses: { '200': body(ref('People')) },
      },
      post: { requestBody: body(ref('Person')), responses: { '201': body(ref('Person')) } },
    },
    '/people/{id}': {
      parameters: [{ in: 'path', name: 'id', required: true, schema: { type: 'string' } }],
      get: { responses: { '200': body(ref('Person')) } },
      put: { requestBody: body(ref('Person')), responses: { '200': body(ref('Person')) } },
      patch: {
        'x-phi-subject': '{id}',
        requestBody: body(ref('Change'), 'application/merge-patch+json'),
        responses: { '200': body(ref('Person')) },
      },
    },
    '/people/{id}/address': {
      parameters: [{ in: 'path', name: 'id', required: true, schema: { type: 'string' } }],
      get: { 'x-phi-object': 'Person', 'x-phi-subject': '{id}', responses: { '200': body(ref('Address')) } },
    },
  },
  components: {
    schemas: {
      People: { type: 'object', properties: { items: listOf(ref('Person')), total: { type: 'integer' } } },
      Person: {
        type: 'object',
        'x-phi-subject': '/id',
        required: ['id', 'name'],
        properties: { id: { type: 'string' }, ...PERSON },
      },
      Change: {
        type: 'object',
        'x-phi-object': 'Person',
        properties: { ...PERSON, address: { 'x-phi-object': 'Address', anyOf: [ref('Address'), { type: 'null' }] } },
      },
      Address: {
        type: 'object',
        properties: {
          state: { type: 'string' },
          city: phi('address'),
          zip: { type: 'string', 'x-phi': { class: 'address', treatment: 'index', index: 'postalCode' } },
          zipSealed: { type: 'string' },
        },
      },
      Diagnosis: { type: 'object', properties: { code: { type: 'string' }, note: phi('freeText') } },
    },
  },
};

const ALL = ['*'];
const PERSON_ONLY = ['clinic:Person'];
const rule = (id: string, purpose: string, types: string[], interactions: string[], open: string[]) => ({
  id,
  purposes: [purpose],
  types,
  interactions,
  open,
});
const POLICY = {
  version: 1,
  roles: {
    clinician: {
      mfa: true,
      rules: [rule('care', 'TREAT', ALL, ['read', 'search', 'create', 'update', 'delete'], ALL)],
    },
    billing: {
      mfa: true,
      rules: [rule('bill', 'HPAYMT', PERSON_ONLY, ['read', 'search', 'create', 'update'], ALL)],
    },
    // Lists show less than records do.
    partner: {
      mfa: false,
      rules: [
        rule('find', 'TREAT', ALL, ['search'], ['name', 'address', 'freeText']),
        rule('see', 'TREAT', ALL, ['read', 'update'], ALL),
      ],
    },
  },
};

const folder = mkdtempSync(join(tmpdir(), 'keyward-clinic-'));
let product: Product;
before(async () => {
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  writeFileSync(join(folder, 'clinic.json'), JSON.stringify(CLINIC));
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(POLICY));
  const clinic = {
    name: 'clinic',
    prefix: '/clinic',
    upstream: { url: `http://127.0.0.1:${(api.address() as AddressInfo).port}` },
    openapi: join(folder, 'clinic.json'),
    policyFile: join(folder, 'policy.json'),
  };
  product = await startProduct({ env: { KEYWARD_APIS: JSON.stringify([clinic]) } });
  const made = await clinicCall({ path: '/people', json: WHOLE });
  assert.equal(made.status, 201, JSON.stringify(made.body));
});
after(() => {
  api.close();
  api.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const WHOLE = {
  id: 'p-1',
  name: 'Canarybird',
  phone: '+1 555 0199',
  aliases: ['Tweety'],
  address: { state: 'CA', city: 'Featherstone', zip: '10001' },
  diagnoses: [{ code: 'B20', note: 'since May' }],
};
const { address: _address, diagnoses: _diagnoses, ...BARE } = WHOLE;
const EMPTY_LISTS = { ...BARE, diagnoses: [] };

const clinicCall = (call: Call): Promise<Answer> =>
  product.call(product.gatewayPort, {
    ...(call.token === undefined ? { role: 'clinician' } : {}),
    ...call,
    path: `/clinic${call.path}`,
    headers: {
      'content-type': call.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      ...call.headers,
    },
  });
const withScopes = (scope: string): Promise<string> => product.token({ role: 'clinician', scope });
const shown = ({ status, body: got, headers }: Answer): unknown[] => [status, got, headers['keyward-subsetted']];
const outcome = ({ status, body: got }: Answer): unknown[] => (status < 300 ? [status] : [status, got['code']]);

test('[A4] an object that the policy does not permit is not shown, neither what is sealed of it nor what is clear', async () => {
  const path = '/people/p-1';
  assert.deepEqual(shown(await clinicCall({ path })), [200, WHOLE, undefined]);
  assert.deepEqual(shown(await clinicCall({ path, role: 'billing' })), [200, EMPTY_LISTS, 'true']);
  const found = await clinicCall({ path: '/people', role: 'billing' });
  assert.deepEqual(shown(found), [200, { items: [EMPTY_LISTS], total: 1 }, 'true']);
  const part = await clinicCall({ path: `${path}/address`, role: 'billing' });
  assert.deepEqual(outcome(part), [403, 'ACCESS_DENIED']);
  assert.deepEqual(shown(await clinicCall({ path: `${path}/address` })), [200, WHOLE.address, undefined]);
});

test('[A4] scopes of a token permit objects one by one, as rules do', async () => {
  const token = await withScopes('user/clinic:Person.rus user/clinic:Diagnosis.r');
  assert.deepEqual(shown(await clinicCall({ path: '/people/p-1', token })), [
    200,
    { ...BARE, diagnoses: WHOLE.diagnoses },
    'true',
  ]);
});

/** What billing, who may change people and nothing inside them, sends of a person. */
const FOREIGN_WRITES: readonly (readonly [what: string, call: Call])[] = [
  ['a person with an address', { path: '/people', json: { ...BARE, id: 'p-2', address: WHOLE.address } }],
  ['a person with a clear part of an address', { path: '/people', json: { ...BARE, id: 'p-2', address: {} } }],
  ['another address', { method: 'PUT', path: '/people/p-1', json: WHOLE }],
  ['a changed address', { method: 'PATCH', path: '/people/p-1', json: { address: { state: 'NY' } } }],
  ['no address any more', { method: 'PATCH', path: '/people/p-1', json: { address: null } }],
  ['no diagnoses any more', { method: 'PATCH', path: '/people/p-1', json: { diagnoses: [] } }],
  ['what was shown', { method: 'PUT', path: '/people/p-1', json: EMPTY_LISTS }],
];

for (const [what, call] of FOREIGN_WRITES)
  test(`[A4] who may not write an object neither writes nor removes it with what is around it: ${what}`, async () => {
    const held = JSON.stringify([...rows]);
    assert.deepEqual(outcome(await clinicCall({ ...call, role: 'billing' })), [403, 'ACCESS_DENIED']);
    assert.equal(JSON.stringify([...rows]), held);
  });

test('[A4] who may not write an object can still write and change what is around it', async () => {
  const made = await clinicCall({ path: '/people', role: 'billing', json: { ...BARE, id: 'p-3' } });
  assert.deepEqual(outcome(made), [201]);
  rows.delete('p-3');
  const changed = await clinicCall({ method: 'PATCH', path: '/people/p-1', role: 'billing', json: { phone: '+1 2' } });
  assert.deepEqual(outcome(changed), [200]);
});

const READS_PERSON = 'user/clinic:Person.rus user/clinic:Address.u user/clinic:Diagnosis.u';
const READS_NOTHING = 'user/*.u';
/** [who, what they send, how it ends] */
const WRITE_BACKS: readonly (readonly [scope: string, call: Omit<Call, 'path'>, end: readonly unknown[]])[] = [
  ['user/clinic:Person.rus', { json: { ...EMPTY_LISTS, address: { state: 'CA' } } }, [403, 'ACCESS_SCOPE']],
  [READS_PERSON, { json: EMPTY_LISTS }, [409, 'ACCESS_PARTIAL_WRITE']],
  [READS_PERSON, { json: { ...WHOLE, diagnoses: [] } }, [409, 'ACCESS_PARTIAL_WRITE']],
  [READS_PERSON, { json: { ...WHOLE, address: { state: 'CA' } } }, [409, 'ACCESS_PARTIAL_WRITE']],
  [READS_PERSON, { method: 'PATCH', json: { diagnoses: [] } }, [409, 'ACCESS_PARTIAL_WRITE']],
  [READS_PERSON, { method: 'PATCH', json: { phone: '+1 2' } }, [200]],
  [READS_NOTHING, { json: { ...WHOLE, diagnoses: [{ code: 'B20' }] } }, [409, 'ACCESS_PARTIAL_WRITE']],
  [READS_NOTHING, { json: BARE }, [409, 'ACCESS_PARTIAL_WRITE']],
  [READS_NOTHING, { json: WHOLE }, [200]],
  ['user/*.ru', { json: { ...BARE, aliases: [] } }, [200]],
  ['user/*.ru', { json: WHOLE }, [200]],
];

test('[A4] what was not shown is not erased by writing back what was', async () => {
  for (const [scope, call, end] of WRITE_BACKS) {
    const token = await withScopes(scope);
    const result = await clinicCall({ method: 'PUT', ...call, path: '/people/p-1', token });
    assert.deepEqual(outcome(result), end, `${scope} ${JSON.stringify(call)}`);
  }
});

test('[A4] who was shown less by a search than by a read writes back what the read showed', async () => {
  const role = 'partner';
  const { body: found } = await clinicCall({ path: '/people', role });
  const { phone, ...listed } = WHOLE;
  assert.deepEqual(found['items'], [listed]);
  const put = async (json: unknown) => outcome(await clinicCall({ method: 'PUT', path: '/people/p-1', role, json }));
  assert.deepEqual(await put(listed), [409, 'ACCESS_PARTIAL_WRITE']);
  assert.deepEqual(await put({ ...listed, phone }), [200]);
});

test('[A4] the answer to a change shows what a read would', async () => {
  const call: Call = { method: 'PATCH', path: '/people/p-1', json: {} };
  const person = await clinicCall({ ...call, token: await withScopes(READS_PERSON) });
  assert.deepEqual(shown(person), [200, EMPTY_LISTS, 'true']);
  const nothing = await clinicCall({ ...call, token: await withScopes(READS_NOTHING) });
  assert.deepEqual(shown(nothing), [200, '', 'true']);
});

test('[L1] a disclosure names the objects that were shown, and no other', async () => {
  const events = (await product.ledger()).map((entry) => JSON.stringify(entry['event']));
  const billed = events.filter((event) => event.includes('"disclosure"') && event.includes('"bill"'));
  assert.ok(billed.some((event) => event.includes('clinic:Person/p-1')));
  assert.deepEqual(
    billed.filter((event) => /clinic:(?:Address|Diagnosis|People)/.test(event)),
    [],
  );
});

test('[A5] only an ETag that was given out here gets to the API, and it as the API gave it', async () => {
  const path = '/people/p-1';
  const etag = String((await clinicCall({ path })).headers['etag']);
  const put = (ifMatch: string) =>
    clinicCall({ method: 'PUT', path, json: WHOLE, headers: { 'if-match': ifMatch } }).then(outcome);
  const others = ['"999-00-1234"', 'W/"7"', '*', etag.replace('"7', '"8'), `${etag}, ${etag}`, etag.slice(0, -1)];
  for (const other of others) assert.deepEqual(await put(other), [400, 'GATEWAY_HEADER_REFUSED'], other);
  assert.deepEqual(conditions, []);
  for (const given of [etag, etag.slice('W/'.length)]) assert.deepEqual(await put(given), [200]);
  assert.deepEqual(conditions, ['W/"7"', '"7"']);
  const narrowed = String((await clinicCall({ path, role: 'billing' })).headers['etag']);
  assert.deepEqual(await put(narrowed), [409, 'ACCESS_PARTIAL_WRITE']);
});

test('[A5] neither an index, a sealed value nor a name stands in an address', async () => {
  const byIndex = await clinicCall({ path: `/people/kwi1${'a'.repeat(26)}` });
  assert.deepEqual(outcome(byIndex), [400, 'API_RESERVED_VALUE']);
  const byName = await clinicCall({ method: 'PUT', path: '/people/real-name', json: { id: 'p-4', name: 'Real Name' } });
  assert.deepEqual(outcome(byName), [400, 'API_ID_REFUSED']);
});

test('[A5] a content type that ends with a semicolon is the content type; what cannot be answered in JSON is not asked for', async () => {
  const put: Call = { method: 'PUT', path: '/people/p-1', json: WHOLE };
  assert.deepEqual(outcome(await clinicCall({ ...put, headers: { 'content-type': 'application/json;' } })), [200]);
  const xml = await clinicCall({ path: '/people/p-1', headers: { accept: 'application/xml' } });
  assert.deepEqual(outcome(xml), [406, 'GATEWAY_NOT_ACCEPTABLE']);
});

test('[A3] who may not see an object inside another may not search by what stands in it', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const search = { method: 'POST', path: '/people/_search', form: { zip: '10001' }, headers } as const;
  assert.equal((await clinicCall(search)).status, 200);
  const refused = await clinicCall({ ...search, role: 'billing' });
  assert.deepEqual([refused.status, refused.body['code'] as unknown], [403, 'ACCESS_DENIED']);
});
