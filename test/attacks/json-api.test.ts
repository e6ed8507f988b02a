/** Threat: a JSON API that lies, and clients that try to get past its description. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Answer, type Call, type Product, ROOT, startProduct } from '../support/product.ts';

/** In every text of the API's own; no client may ever see it. */
const HOSTILE = 'HOSTILE';

interface Told {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text goes out as it is, anything else as JSON. */
  readonly body?: unknown;
}
type Row = { [member: string]: unknown };

/** What it was sent, by member; what it answers instead of the truth. */
const stored = new Map<string, Row>();
let lie: ((truth: Row) => Told) | undefined;

const api = createServer((request, response) => void answer(request, response));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const sent = chunks.length === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString()) as Row);
  const named = sent?.['memberId'];
  const id = typeof named === 'string' ? named : (request.url?.split('/')[2] ?? '');
  if (sent) stored.set(id, sent);
  const truth = stored.get(id) ?? {};
  const { status, headers, body } = lie?.(truth) ?? { status: sent ? 201 : 200, body: truth };
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** An API whose description leaves much open. */
const anyJson = { content: { 'application/json': {} } };
const person = { content: { 'application/json': { schema: { $ref: '#/components/schemas/Person' } } } };
const SHOP = {
  openapi: '3.0.3',
  paths: {
    '/known': { post: { 'x-phi-object': 'Person', requestBody: anyJson, responses: { '2XX': anyJson } } },
    '/unknown': {
      post: { 'x-phi-object': 'Person', requestBody: anyJson, responses: { '2XX': person } },
      get: { 'x-phi-object': 'Person', responses: { '2XX': anyJson } },
    },
    '/upload': {
      post: {
        'x-phi-object': 'Person',
        requestBody: { content: { 'multipart/form-data': {} } },
        responses: { '2XX': {} },
      },
    },
  },
  components: {
    schemas: {
      Person: {
        type: 'object',
        properties: {
          name: { type: 'string', 'x-phi': { class: 'name' } },
          phone: { type: 'string', 'x-phi': { class: 'contact' } },
        },
      },
    },
  },
};
const rule = (id: string, interactions: string[], open: string[]) => ({
  id,
  purposes: ['TREAT'],
  types: ['shop:Person'],
  interactions,
  open,
});
const SHOP_POLICY = {
  version: 1,
  roles: {
    clinician: {
      mfa: true,
      rules: [rule('reads', ['read', 'search'], ['name']), rule('writes', ['create'], ['*'])],
    },
  },
};
const folder = mkdtempSync(join(tmpdir(), 'keyward-shop-'));

let product: Product;
before(async () => {
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const crm = {
    name: 'crm',
    prefix: '/crm',
    upstream: { url: `http://127.0.0.1:${(api.address() as AddressInfo).port}` },
    openapi: join(ROOT, 'examples/json-api/openapi.yaml'),
    policyFile: join(ROOT, 'examples/json-api/policy.yaml'),
  };
  writeFileSync(join(folder, 'shop.json'), JSON.stringify(SHOP));
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(SHOP_POLICY));
  const shop = {
    ...crm,
    name: 'shop',
    prefix: '/shop',
    openapi: join(folder, 'shop.json'),
    policyFile: join(folder, 'policy.json'),
    allowUnmappedPlaintextRequests: ['POST /known'],
    allowUnmappedPlaintextResponses: ['POST /known'],
  };
  product = await startProduct({ env: { KEYWARD_APIS: JSON.stringify([crm, shop]) } });
  for (const memberId of ['m-1', 'm-2']) {
    const made = await crmCall({ path: '/members', json: { ...MEMBER, memberId } });
    assert.equal(made.status, 201, JSON.stringify(made.body));
  }
});
after(() => {
  api.close();
  api.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const MEMBER = { memberId: 'm-1', plan: 'gold', lastName: 'Realname', firstName: 'Firstname', ssn: '999-48-1357' };
const crmCall = (call: Call): Promise<Answer> =>
  product.call(product.gatewayPort, {
    role: 'clinician',
    ...call,
    path: `/crm${call.path}`,
    headers: { 'content-type': 'application/json', ...call.headers },
  });

async function lyingTo(call: Call, how: (truth: Row) => Told): Promise<Answer> {
  lie = how;
  try {
    return await crmCall(call);
  } finally {
    lie = undefined;
  }
}

const codeOf = ({ body }: Answer): unknown => body['code'];
const other = (): Row => stored.get('m-2') ?? {};

/** Answers to a read of `m-1`, with what becomes of them. */
const LIES: Readonly<Record<string, readonly [code: string, told: (truth: Row) => Told]>> = {
  'another member’s sealed name': [
    'SEAL_NOT_AUTHENTIC',
    (row) => ({ status: 200, body: { ...row, firstName: other()['firstName'] } }),
  ],
  'another member whole under this id': [
    'SEAL_NOT_AUTHENTIC',
    (row) => ({ status: 200, body: { ...other(), memberId: row['memberId'] } }),
  ],
  'a ciphertext in another place': [
    'SEAL_NOT_AUTHENTIC',
    (row) => ({ status: 200, body: { ...row, firstName: row['ssnSealed'] } }),
  ],
  'a ciphertext in a clear member': [
    'SEAL_NOT_AUTHENTIC',
    (row) => ({ status: 200, body: { ...row, plan: row['ssnSealed'] } }),
  ],
  'an altered ciphertext': [
    'SEAL_NOT_AUTHENTIC',
    (row) => ({ status: 200, body: { ...row, firstName: `${String(row['firstName']).slice(0, -2)}AA` } }),
  ],
  'an index without its ciphertext': [
    'SEAL_NOT_AUTHENTIC',
    ({ ssnSealed: _none, ...row }) => ({ status: 200, body: row }),
  ],
  'plaintext in a sealed member': [
    'GATEWAY_UPSTREAM_UNSEALED',
    (row) => ({ status: 200, body: { ...row, firstName: HOSTILE } }),
  ],
  'plaintext beside a ciphertext': [
    'GATEWAY_UPSTREAM_UNSEALED',
    (row) => ({ status: 200, body: { ...row, ssn: HOSTILE } }),
  ],
  'no subject': ['API_RESPONSE_INVALID', ({ memberId: _none, ...row }) => ({ status: 200, body: row })],
  'a value that the schema forbids': [
    'API_RESPONSE_INVALID',
    (row) => ({ status: 200, body: { ...row, plan: HOSTILE } }),
  ],
  'another member whole': ['API_RESPONSE_INVALID', () => ({ status: 200, body: other() })],
  'another shape': ['API_RESPONSE_INVALID', () => ({ status: 200, body: [HOSTILE] })],
  'an empty answer': ['API_RESPONSE_INVALID', () => ({ status: 200, body: '' })],
  'a page of HTML': [
    'API_RESPONSE_INVALID',
    () => ({ status: 200, body: `<html>${HOSTILE}</html>`, headers: { 'content-type': 'text/html' } }),
  ],
  'JSON that says it is HTML': [
    'API_RESPONSE_INVALID',
    (row) => ({ status: 200, body: row, headers: { 'content-type': 'text/html' } }),
  ],
  'half of the answer': ['API_RESPONSE_INVALID', (row) => ({ status: 200, body: JSON.stringify(row).slice(0, -5) })],
  'a member twice': [
    'API_RESPONSE_INVALID',
    () => ({ status: 200, body: `{"memberId":"m-1","memberId":"${HOSTILE}"}` }),
  ],
  'a status that is not described': ['API_RESPONSE_INVALID', (row) => ({ status: 206, body: row })],
  'a redirect': [
    'API_RESPONSE_INVALID',
    () => ({ status: 302, headers: { location: 'https://evil.example/' }, body: HOSTILE }),
  ],
  'an error that quotes the record': ['API_NOT_FOUND', (row) => ({ status: 404, body: { error: HOSTILE, row } })],
  'a refusal with a text': ['API_UPSTREAM_REFUSED', () => ({ status: 422, body: HOSTILE })],
  'a failure with a stack': ['API_UNAVAILABLE', () => ({ status: 500, body: HOSTILE })],
  'no leave for the gateway': ['GATEWAY_UPSTREAM_DENIED', () => ({ status: 401, body: HOSTILE })],
  'a door that is shut': ['GATEWAY_UPSTREAM_DENIED', () => ({ status: 403, body: HOSTILE })],
  'another method': ['GATEWAY_UPSTREAM_UNSUPPORTED', () => ({ status: 405, body: HOSTILE })],
  'another media type': ['GATEWAY_UPSTREAM_UNSUPPORTED', () => ({ status: 415, body: HOSTILE })],
  'a call to slow down': ['API_BUSY', () => ({ status: 429, body: HOSTILE })],
};

for (const [what, [code, told]] of Object.entries(LIES))
  test(`[E1] the API answers with ${what}: ${code}`, async () => {
    const result = await lyingTo({ path: '/members/m-1' }, told);
    assert.equal(codeOf(result), code, JSON.stringify(result.body));
    assert.ok(!JSON.stringify([result.body, result.headers]).includes(HOSTILE));
    assert.ok(!JSON.stringify(result.body).includes('Realname'));
  });

test('[E1] members that the API adds by itself, and headers of its own, are not passed on', async () => {
  const result = await lyingTo({ path: '/members/m-1' }, (row) => ({
    status: 200,
    headers: { 'x-debug': HOSTILE, 'set-cookie': `a=${HOSTILE}`, etag: `"${HOSTILE} with blanks"`, location: HOSTILE },
    body: { ...row, debug: HOSTILE, address: { state: 'CA', debug: HOSTILE } },
  }));
  assert.equal(result.status, 200, JSON.stringify(result.body));
  assert.ok(!JSON.stringify([result.body, result.headers]).includes(HOSTILE));
});

test('[L1] a write whose answer cannot be believed is neither success nor "nothing happened"', async () => {
  const json = { ...MEMBER, memberId: 'm-3' };
  for (const told of [
    { status: 200, body: HOSTILE },
    { status: 201, body: { ...MEMBER } },
    { status: 503, body: HOSTILE },
    { status: 299, body: {} },
    { status: 303, headers: { location: '/members/m-3' }, body: HOSTILE },
  ]) {
    const result = await lyingTo({ path: '/members', json }, () => told);
    assert.deepEqual([result.status, codeOf(result)], [504, 'GATEWAY_OUTCOME_UNKNOWN'], JSON.stringify(told));
  }
});

/** What clients try, and how it ends. */
const ATTEMPTS: readonly (readonly [what: string, call: () => Call, status: number, code: string])[] = [
  [
    'a ciphertext as its own id',
    () => ({ path: '/members', json: { ...MEMBER, memberId: other()['ssnSealed'] } }),
    400,
    'API_BODY_INVALID',
  ],
  [
    'a companion',
    () => ({ path: '/members', json: { ...MEMBER, ssnSealed: other()['ssnSealed'] } }),
    400,
    'API_RESERVED_VALUE',
  ],
  ['a number somebody is known by as id', () => ({ path: '/members/999-48-1357' }), 400, 'API_PARAM_INVALID'],
  [
    'an empty number, so that the old index stays',
    () => ({
      method: 'PATCH',
      path: '/members/m-1',
      json: { ssn: '' },
      headers: { 'content-type': 'application/merge-patch+json' },
    }),
    400,
    'API_BODY_INVALID',
  ],
  [
    'more values than are sealed at once',
    () => ({
      path: '/members',
      json: { ...MEMBER, contacts: Array.from({ length: 20_001 }, () => ({ kind: 'phone', value: '1' })) },
    }),
    413,
    'API_BODY_TOO_LARGE',
  ],
  [
    '__proto__',
    () => ({ path: '/members', raw: '{"memberId":"m-9","__proto__":{"plan":"gold"}}' }),
    400,
    'JSON_FORBIDDEN_KEY',
  ],
  [
    'constructor',
    () => ({ path: '/members', raw: '{"memberId":"m-9","plan":"gold","lastName":"x","constructor":"y"}' }),
    400,
    'API_BODY_INVALID',
  ],
  [
    'a member twice',
    () => ({ path: '/members', raw: '{"memberId":"m-9","memberId":"m-1"}' }),
    400,
    'JSON_DUPLICATE_KEY',
  ],
  ['deep nesting', () => ({ path: '/members', raw: '['.repeat(100) + ']'.repeat(100) }), 400, 'JSON_TOO_DEEP'],
  [
    'a body of another type',
    () => ({ path: '/members', raw: '{}', headers: { 'content-type': 'text/plain' } }),
    415,
    'API_CONTENT_TYPE',
  ],
  [
    'a JSON Patch',
    () => ({
      method: 'PATCH',
      path: '/members/m-1',
      raw: '[]',
      headers: { 'content-type': 'application/json-patch+json' },
    }),
    415,
    'API_CONTENT_TYPE',
  ],
  [
    'another person’s patch',
    () => ({
      method: 'PATCH',
      path: '/members/m-1',
      json: { memberId: 'm-2' },
      headers: { 'content-type': 'application/merge-patch+json' },
    }),
    400,
    'API_BODY_INVALID',
  ],
  ['a body on a read', () => ({ method: 'GET', path: '/members/m-1', raw: '{}' }), 400, 'API_BODY_INVALID'],
  [
    'another method by header',
    () => ({ path: '/members/m-1', headers: { 'x-http-method-override': 'DELETE' } }),
    400,
    'GATEWAY_HEADER_REFUSED',
  ],
  ['a way out of the prefix', () => ({ path: '/members/..;/m-1' }), 400, 'GATEWAY_PATH_REFUSED'],
  ['a doubled slash', () => ({ path: '//members/m-1' }), 400, 'GATEWAY_PATH_REFUSED'],
  [
    'an identifying parameter in the URL of _search',
    () => ({
      path: '/members/_search?ssn=1',
      form: { plan: 'gold' },
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }),
    400,
    'API_PARAM_UNSUPPORTED',
  ],
];

for (const [what, call, status, code] of ATTEMPTS)
  test(`[A5] a client sends ${what}: ${code}`, async () => {
    const result = await crmCall(call());
    assert.deepEqual([result.status, codeOf(result)], [status, code], JSON.stringify(result.body));
  });

test('[A3] without a token, a purpose or a scope that names the objects, nothing is served', async () => {
  const path = '/crm/members/m-1';
  const unknown = await product.call(product.gatewayPort, { path });
  assert.deepEqual([unknown.status, codeOf(unknown)], [401, 'IDENTITY_TOKEN_MISSING']);
  const by = async (scope: string, more: object = {}) =>
    product.call(product.gatewayPort, { path, token: await product.token({ role: 'clinician', scope, ...more }) });
  assert.equal((await by('user/crm:Member.r')).status, 200);
  assert.equal(codeOf(await by('user/crm:Member.s')), 'ACCESS_SCOPE');
  assert.equal(codeOf(await by('user/Patient.cruds')), 'ACCESS_SCOPE');
  assert.equal(codeOf(await by('user/shop:Member.r')), 'ACCESS_SCOPE');
  assert.equal(codeOf(await by('patient/*.cruds', { patient: 'm-1' })), 'ACCESS_SCOPE');
  assert.equal(codeOf(await by('user/*.cruds', { purpose: 'HMARKT' })), 'ACCESS_DENIED');
  assert.equal(codeOf(await by('user/*.cruds', { mfa: false })), 'IDENTITY_MFA_REQUIRED');
});

const shopCall = (call: Call): Promise<Answer> =>
  product.call(product.gatewayPort, {
    role: 'clinician',
    ...call,
    path: `/shop${call.path}`,
    headers: { 'content-type': 'application/json', ...call.headers },
  });

test('[A5] bodies without a schema pass only where the configuration lists the operation, and never with marks of ours', async () => {
  const passed = await shopCall({ path: '/known', json: { any: 'thing' } });
  assert.deepEqual([passed.status, passed.body as unknown], [201, { any: 'thing' }]);
  const token = String(other()['ssnSealed']);
  const cases: readonly (readonly [Call, number, string])[] = [
    [{ path: '/known', json: { deep: [token] } }, 400, 'API_RESERVED_VALUE'],
    [{ path: '/unknown', json: { any: 'thing' } }, 501, 'API_BODY_UNMAPPED'],
    [{ path: '/unknown' }, 502, 'API_RESPONSE_UNMAPPED'],
    [
      { path: '/upload', raw: 'x', headers: { 'content-type': 'multipart/form-data; boundary=x' } },
      415,
      'API_CONTENT_TYPE',
    ],
  ];
  for (const [call, status, code] of cases) {
    const result = await shopCall(call);
    assert.deepEqual([result.status, codeOf(result)], [status, code], call.path);
  }
  lie = () => ({ status: 200, body: { deep: [token] } });
  const moved = await shopCall({ path: '/known', json: {} });
  lie = undefined;
  assert.deepEqual([moved.status, codeOf(moved)], [504, 'GATEWAY_OUTCOME_UNKNOWN']);
});
