/** Threat: a client that sends what no honest client sends. Each is refused by name, recorded, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { before, test } from 'node:test';
import {
  assertRefused,
  countsOf,
  forge,
  heard,
  issuerKey,
  openSocket,
  refusalOf,
  statuses,
  textOf,
} from '../support/attacker.ts';
import { type Call, type Product, startProduct } from '../support/product.ts';

const TYPES = ['Patient', 'Observation', 'Practitioner', 'Bundle'];
const LIMIT_BYTES = 10 * 1024 * 1024;

let product: Product;
before(async () => {
  product = await startProduct();
});

/** Runs attacks that must all be refused, and proves that not one of them stored anything. */
async function refuseAll(cases: readonly (readonly [what: string, refusal: string, call: Call])[]): Promise<void> {
  const counts = await countsOf(product, TYPES);
  for (const [what, refusal, call] of cases) await assertRefused(product, call, refusal, what);
  assert.deepEqual(await countsOf(product, TYPES), counts);
}

const post = (raw: string | Uint8Array, headers: Record<string, string> = {}): Call => ({
  path: '/Patient',
  role: 'clinician',
  raw,
  headers,
});
const patient = (members: string): Call => post(`{"resourceType":"Patient",${members}}`);
const typed = (type: string): Call => post('{"resourceType":"Patient"}', { 'content-type': type });
const bundle = (type: string, entry: unknown): Call => ({
  path: '/',
  role: 'clinician',
  json: { resourceType: 'Bundle', type, entry },
});
const write = (method: string, url: string, resource: unknown, more: object = {}) =>
  bundle('transaction', [{ resource, request: { method, url, ...more } }]);

const nowSeconds = () => Math.floor(Date.now() / 1000);
const claimsAt = (issuedAtSeconds: number) => ({
  iss: 'urn:keyward:development-issuer',
  aud: 'keyward',
  sub: 'attacker',
  role: 'clinician',
  scope: 'user/*.cruds',
  purpose_of_use: 'TREAT',
  amr: ['mfa'],
  exp: issuedAtSeconds + 600,
});

test('[A5] a body that is not strict UTF-8 JSON is refused, never passed through', async () => {
  const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  await refuseAll([
    ['no body', '400 GATEWAY_BODY_MISSING', post('')],
    ['not JSON', '400 JSON_MALFORMED', post('{"resourceType":"Patient"')],
    ['two documents', '400 JSON_MALFORMED', post('{"resourceType":"Patient"}{}')],
    ['a comment', '400 JSON_MALFORMED', patient('/**/"active":true')],
    ['NaN', '400 JSON_MALFORMED', patient('"active":NaN')],
    ['an overlong form of "/"', '400 JSON_NOT_UTF8', post(Buffer.from('{"a":"\xc0\xaf"}', 'latin1'))],
    ['a UTF-8 surrogate', '400 JSON_NOT_UTF8', post(Buffer.from('{"a":"\xed\xa0\x80"}', 'latin1'))],
    ['UTF-16', '400 JSON_NOT_UTF8', post(Buffer.from('\ufeff{"resourceType":"Patient"}', 'utf16le'))],
    ['65 levels', '400 JSON_TOO_DEEP', patient(`"extension":${deep(64)}`)],
    ['a million levels', '400 JSON_TOO_DEEP', post(deep(1_000_000))],
    ['a key twice', '400 JSON_DUPLICATE_KEY', patient('"active":true,"active":false')],
    ['a key twice, once escaped', '400 JSON_DUPLICATE_KEY', patient('"active":true,"\\u0061ctive":false')],
    ['__proto__', '400 JSON_FORBIDDEN_KEY', patient('"__proto__":{"id":"1"}')],
    ['XML', '415 GATEWAY_CONTENT_TYPE', typed('application/fhir+xml')],
    ['no JSON type', '415 GATEWAY_CONTENT_TYPE', typed('text/plain')],
    ['another charset', '415 GATEWAY_CONTENT_TYPE', typed('application/json; charset=utf-7')],
    ['two charsets', '415 GATEWAY_CONTENT_TYPE', typed('application/json; charset=utf-8; charset=utf-16')],
    ['gzip', '415 GATEWAY_CONTENT_TYPE', post('{}', { 'content-encoding': 'gzip' })],
    ['XML wanted', '406 GATEWAY_NOT_ACCEPTABLE', post('{}', { accept: 'application/fhir+xml' })],
  ]);
});

test('[A5] a document that is no R4 resource, or imitates our marks, is refused', async () => {
  const named = (more: string) => patient(`"name":[{${more}}]`);
  await refuseAll([
    ['a list', '400 FHIR_RESOURCE_INVALID', post('[]')],
    ['another type', '400 FHIR_RESOURCE_INVALID', post('{"resourceType":"Observation"}')],
    ['no such type', '404 FHIR_TYPE_UNKNOWN', { path: '/Pwned', role: 'clinician', json: { resourceType: 'Pwned' } }],
    ['an object for a text', '400 FHIR_RESOURCE_INVALID', named('"family":{"a":1}')],
    ['a text for a list', '400 FHIR_RESOURCE_INVALID', patient('"name":"Canary"')],
    ['a member nobody knows', '400 FHIR_RESOURCE_INVALID', patient('"nickname":"Canary"')],
    ['a date that is a text', '400 FHIR_RESOURCE_INVALID', patient('"birthDate":"Canary"')],
    ['a token in clear', '400 FHIR_RESERVED_EXTENSION', patient('"language":"kw1.AAAA"')],
    ['a planted root', '400 FHIR_RESERVED_EXTENSION', patient('"extension":[{"url":"urn:keyward:root"}]')],
    ['in capitals', '400 FHIR_RESERVED_EXTENSION', patient('"extension":[{"url":" URN:Keyward:sealed"}]')],
    ['a planted index', '400 FHIR_RESERVED_EXTENSION', patient('"identifier":[{"system":"urn:keyward:index"}]')],
    ['entries that are no list', '400 FHIR_BUNDLE_INVALID', bundle('transaction', {})],
    ['another bundle', '400 FHIR_BUNDLE_INVALID', bundle('history', [])],
    ['no request', '400 FHIR_BUNDLE_INVALID', bundle('transaction', [{ resource: { resourceType: 'Patient' } }])],
  ]);
});

test('[A5] a dot segment is no id, in no part of a request', async () => {
  const resource = { resourceType: 'Patient', id: '..' };
  await refuseAll([
    [
      'in the path',
      '400 GATEWAY_PATH_REFUSED',
      { path: '/Patient/..', method: 'PUT', role: 'clinician', json: resource },
    ],
  ]);
  const counts = await countsOf(product, TYPES);
  const answer = await product.fhir(write('PUT', 'Patient/..', resource));
  assert.equal(refusalOf(answer), '501 FHIR_INTERACTION_UNSUPPORTED', 'in a transaction');
  assert.deepEqual(await countsOf(product, TYPES), counts);
});

test('[A5] a version that never was is not there, whatever stands in its place', async () => {
  const created = await product.fhir({ path: '/Patient', role: 'clinician', json: { resourceType: 'Patient' } });
  const history = `/Patient/${textOf(created.body['id'])}/_history`;
  assert.equal((await product.fhir({ path: `${history}/1`, role: 'clinician' })).status, 200);
  for (const version of ['2', '0', 'y', '1.0', '12345678901234567890']) {
    const answer = await product.fhir({ path: `${history}/${version}`, role: 'clinician' });
    assert.equal(refusalOf(answer), '404 FHIR_NOT_FOUND', version);
  }
});

test('[A5] a body of 10 MiB is refused by its announced length and, chunked, as soon as it is too long', async () => {
  const counts = await countsOf(product, TYPES);
  const token = await product.token({ role: 'clinician' });
  const head = `POST /fhir/Patient HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n`;
  const announced = await openSocket(product);
  announced.write(`${head}content-length: ${LIMIT_BYTES}\r\n\r\n`);
  const refusedAtOnce = await heard(announced, 3_000);
  assert.match(refusedAtOnce, /^HTTP\/1\.1 413 [^]*GATEWAY_BODY_TOO_LARGE/);
  const chunked = await openSocket(product);
  const answer = heard(chunked, 10_000);
  chunked.write(`${head}transfer-encoding: chunked\r\n\r\n`);
  const chunk = `100000\r\n${' '.repeat(0x10_00_00)}\r\n`;
  // All at once: whoever refuses in the middle must not take the answer away from a client that is still sending.
  for (let mebibytes = 0; mebibytes < 11; mebibytes++) chunked.write(chunk);
  assert.deepEqual(statuses(await answer), [413]);
  assert.deepEqual(await countsOf(product, TYPES), counts);
});

test('[A6] a search for a hundred thousand alternatives is refused before it holds up everybody else', async () => {
  const values = `family=${'a,'.repeat(100_000)}a`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const { status } = await product.fhir({ path: '/Patient/_search', role: 'clinician', raw: values, headers });
  assert.ok(status >= 400 && status < 500, String(status));
});

test('[A1] a token that is missing, old, for another, or not signed by the issuer opens nothing', async () => {
  const claims = claimsAt(nowSeconds());
  const eddsa = { alg: 'EdDSA' };
  const good = forge(product, eddsa, claims);
  const own = generateKeyPairSync('ed25519');
  const ownSignature = (text: string) => sign(null, Buffer.from(text), own.privateKey);
  const jwk = own.publicKey.export({ format: 'jwk' });
  const publicPem = createPublicKey(issuerKey(product)).export({ type: 'spki', format: 'pem' });
  const hmac = (text: string) => createHmac('sha256', publicPem).update(text).digest();
  const unsigned = (text: string) => Buffer.from(text.slice(0, 0));
  const read = (token: string): Call => ({ path: '/Patient', token });
  const invalid = (what: string, token: string) => [what, '401 IDENTITY_TOKEN_INVALID', read(token)] as const;

  assert.equal((await product.fhir(read(good))).status, 200, 'the forge itself works');
  await refuseAll([
    ['none at all', '401 IDENTITY_TOKEN_MISSING', { path: '/Patient' }],
    ['Basic', '401 IDENTITY_TOKEN_INVALID', { path: '/Patient', headers: { authorization: 'Basic YTpi' } }],
    ['in the URL', '401 IDENTITY_TOKEN_MISSING', { path: `/Patient?access_token=${good}` }],
    ['expired', '401 IDENTITY_TOKEN_EXPIRED', read(forge(product, eddsa, { ...claims, exp: nowSeconds() - 60 }))],
    invalid('without an end', forge(product, eddsa, { ...claims, exp: undefined })),
    invalid('not valid yet', forge(product, eddsa, { ...claims, nbf: nowSeconds() + 60 })),
    invalid('another audience', forge(product, eddsa, { ...claims, aud: 'keyward.evil.example' })),
    invalid('another issuer', forge(product, eddsa, { ...claims, iss: 'https://evil.example' })),
    invalid('no subject', forge(product, eddsa, { ...claims, sub: '' })),
    invalid('no role', forge(product, eddsa, { ...claims, role: undefined })),
    invalid('claims that are no object', forge(product, eddsa, '[]')),
    invalid('alg none', forge(product, { alg: 'none' }, claims, unsigned)),
    invalid('alg None', forge(product, { alg: 'None' }, claims, unsigned)),
    invalid('no signature', `${good.slice(0, good.lastIndexOf('.'))}.`),
    invalid('a signature cut short', good.slice(0, -8)),
    invalid('HS256 keyed with the public key', forge(product, { alg: 'HS256' }, claims, hmac)),
    invalid('a key in the header', forge(product, { ...eddsa, jwk }, claims, ownSignature)),
    invalid('a key by URL', forge(product, { ...eddsa, jku: 'https://evil.example/jwks' }, claims, ownSignature)),
    invalid('a kid as a path', forge(product, { ...eddsa, kid: '../../dev/null' }, claims, ownSignature)),
    invalid('a critical extension', forge(product, { ...eddsa, crit: ['x'], x: 1 }, claims)),
    invalid('five parts', 'a.b.c.d.e'),
    invalid('too long', `${good}${'A'.repeat(9000)}`),
    ['prototype as role', '403 ACCESS_DENIED', read(forge(product, eddsa, { ...claims, role: '__proto__' }))],
  ]);
});

test('[A2] one factor is not two: a single possession or biometric method in amr is no MFA', async () => {
  const claims = claimsAt(nowSeconds());
  for (const amr of [['pwd'], ['hwk'], ['fpt'], 'mfa', undefined]) {
    const answer = await product.fhir({
      path: '/Patient',
      token: forge(product, { alg: 'EdDSA' }, { ...claims, amr }),
    });
    assert.equal(refusalOf(answer), '401 IDENTITY_MFA_REQUIRED', JSON.stringify(amr));
  }
});
