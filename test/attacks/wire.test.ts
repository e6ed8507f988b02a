/** Threat: two readers of one request. Paths, headers and framing that could be read in two ways, and old TLS, get nowhere. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { countsOf, heard, openSocket, say, statuses } from '../support/attacker.ts';
import { type Product, startProduct } from '../support/product.ts';

/** Where the server closes a connection whose headers do not come: its own limit and the interval of Node's check of it. */
const SLOW_HEADERS_END_MS = 15_000 + 30_000 + 2_000;
const SLOW_BODY_END_MS = 60_000 + 30_000 + 2_000;

let product: Product;
let slow: ReturnType<typeof stall>;
let authorization: string;

before(async () => {
  product = await startProduct();
  authorization = `authorization: Bearer ${await product.token({ role: 'clinician', ttlSeconds: 600 })}`;
  slow = stall('GET /fhir/Patient HTTP/1.1\r\nhost: localhost\r\nx-slow: ', SLOW_HEADERS_END_MS + 5_000);
});

/** Sends the start of a request and waits for how the other side ends it. */
async function stall(start: string, patienceMs: number): Promise<{ text: string; tookMs: number }> {
  const socket = await openSocket(product);
  const startedMs = performance.now();
  socket.write(start);
  const text = await heard(socket, patienceMs);
  return { text, tookMs: performance.now() - startedMs };
}

const get = (target: string, ...headers: string[]): string => request('GET', target, headers);
const request = (method: string, target: string, headers: readonly string[], body = ''): string =>
  [`${method} ${target} HTTP/1.1`, 'host: localhost', authorization, 'connection: close', ...headers, '', body].join(
    '\r\n',
  );
/** A create that a second request hides behind, under framing that can be read in two ways. */
const smuggled = (framing: readonly string[], body: string): string =>
  request('POST', '/fhir/Patient', ['content-type: application/fhir+json', ...framing], body).replace(
    'connection: close',
    'connection: keep-alive',
  );
const HIDDEN = `GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n`;
const EMPTY_PATIENT = '{"resourceType":"Patient"}';
const CHUNKED_PATIENT = `1a\r\n${EMPTY_PATIENT}\r\n0\r\n\r\n`;

test('[A3] a path that could be read in two ways is refused by the gateway, whoever asks', async () => {
  const paths = [
    '/fhir//Patient',
    '/fhir/Patient//1',
    '/fhir/Patient;v=1',
    '/fhir/Patient/1;/_history',
    '/fhir/Patient/%2e%2e/Observation',
    '/fhir/Patient%2F1',
    '/fhir/Patient%252F1',
    '/fhir/%50atient',
    '/fhir/Patient%00',
    '/fhir/Patient/../Observation',
    '/fhir/./Patient',
    '/fhir/..',
    '/fhir/Patient\\1',
    '/fhir/Patient#1',
  ];
  for (const path of paths)
    assert.match(await say(product, get(path)), /^HTTP\/1\.1 400 [^]*GATEWAY_PATH_REFUSED/, path);
});

test('[A3] nothing outside the FHIR base serves records: other spellings of it are not found', async () => {
  const paths = [
    '//fhir/Patient',
    '/FHIR/Patient',
    '/%66hir/Patient',
    '/fhir;/Patient',
    '/healthz/../fhir/Patient',
    'https://localhost/fhir/Patient',
    'http://evil.example/fhir/Patient',
    '*',
  ];
  for (const path of paths) assert.match(await say(product, get(path)), /^HTTP\/1\.1 404 [^]*GATEWAY_NOT_FOUND/, path);
});

test('[A3] only the methods of the table exist, and no header puts another in their place', async () => {
  for (const method of ['TRACE', 'PATCH', 'OPTIONS', 'PROPFIND', 'PURGE'])
    assert.match(await say(product, request(method, '/fhir/Patient', [])), /FHIR_INTERACTION_UNSUPPORTED/, method);
  assert.equal(await say(product, request('CONNECT', 'localhost:443', [])), '', 'CONNECT is closed without a word');
  for (const header of ['x-http-method-override: DELETE', 'x-original-url: /fhir/metadata', 'x-rewrite-url: /healthz'])
    assert.match(await say(product, get('/fhir/Patient', header)), /FHIR_INTERACTION_UNSUPPORTED/, header);
});

test('[A3] a refused interaction is a denial in the ledger, also when its status is 501', async () => {
  const answer = await product.fhir({ path: '/Patient/1', method: 'PATCH', role: 'clinician', json: {} });
  assert.equal(answer.status, 501);
  const [entry] = await product.ledger(`&correlationId=${String(answer.headers['x-correlation-id'])}`);
  assert.deepEqual([entry?.['class'], entry?.['event']?.['decision']], ['denial', 'deny']);
});

test('[A3] a header that comes twice, or not at all, is refused', async () => {
  const twice = ['host: evil.example', authorization, 'if-match: W/"1"\r\nif-match: W/"2"', 'prefer: a\r\nprefer: b'];
  for (const header of twice)
    assert.match(
      await say(product, get('/fhir/Patient', header)),
      /^HTTP\/1\.1 400 [^]*GATEWAY_HEADER_REFUSED/,
      header,
    );
  const told = await say(product, get('/fhir/Patient', 'if-match: W/"1"\r\nif-match: W/"2"'));
  assert.match(told, /Header if-match comes twice/);
  assert.doesNotMatch(told, /Authorization|Content-Type and/, 'a hint at other headers misleads');
  const noHost = get('/fhir/Patient').replace('host: localhost\r\n', '');
  assert.deepEqual(statuses(await say(product, noHost)), [400]);
});

test('[A3] framing that two readers could read differently ends the connection, and what hides behind it is not served', async () => {
  const cases: readonly (readonly [what: string, bytes: string])[] = [
    ['CL.TE', smuggled(['content-length: 6', 'transfer-encoding: chunked'], `0\r\n\r\n${HIDDEN}`)],
    ['TE.CL', smuggled(['transfer-encoding: chunked', 'content-length: 4'], `${CHUNKED_PATIENT}${HIDDEN}`)],
    ['TE twice', smuggled(['transfer-encoding: chunked', 'transfer-encoding: identity'], CHUNKED_PATIENT + HIDDEN)],
    ['an unknown coding', smuggled(['transfer-encoding: xchunked'], CHUNKED_PATIENT + HIDDEN)],
    ['a blank before the colon', smuggled(['transfer-encoding : chunked'], CHUNKED_PATIENT + HIDDEN)],
    ['two lengths', smuggled(['content-length: 26', 'content-length: 0'], EMPTY_PATIENT + HIDDEN)],
    ['a list of lengths', smuggled(['content-length: 26, 26'], EMPTY_PATIENT + HIDDEN)],
    ['a signed length', smuggled(['content-length: +26'], EMPTY_PATIENT + HIDDEN)],
    ['a chunk size that is no number', smuggled(['transfer-encoding: chunked'], `xx\r\n${CHUNKED_PATIENT}${HIDDEN}`)],
    [
      'a negative chunk size',
      smuggled(['transfer-encoding: chunked'], `-1a\r\n${EMPTY_PATIENT}\r\n0\r\n\r\n${HIDDEN}`),
    ],
    ['a chunk size that overflows', smuggled(['transfer-encoding: chunked'], `${'f'.repeat(17)}\r\n${HIDDEN}`)],
    [
      'a chunk longer than its size',
      smuggled(['transfer-encoding: chunked'], `1\r\n${EMPTY_PATIENT}\r\n0\r\n\r\n${HIDDEN}`),
    ],
    ['lines that end in LF', smuggled(['transfer-encoding: chunked'], `1a\n${EMPTY_PATIENT}\n0\n\n${HIDDEN}`)],
    ['a folded header', smuggled(['x-a: b\r\n transfer-encoding: chunked'], CHUNKED_PATIENT + HIDDEN)],
    ['a NUL in a header', smuggled(['x-a: \0', 'content-length: 26'], EMPTY_PATIENT + HIDDEN)],
    ['a bare CR', smuggled(['x-a: b\rcontent-length: 0', 'content-length: 26'], EMPTY_PATIENT + HIDDEN)],
    ['a header of 20 kB', smuggled([`x-a: ${'a'.repeat(20_000)}`, 'content-length: 26'], EMPTY_PATIENT + HIDDEN)],
    ['20 kB of headers', smuggled([...Array<string>(2_000).fill('x-a: bcde'), 'content-length: 26'], EMPTY_PATIENT)],
    ['HTTP/1.2', smuggled(['content-length: 26'], EMPTY_PATIENT + HIDDEN).replace('HTTP/1.1', 'HTTP/1.2')],
    ['HTTP/2 with prior knowledge', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${HIDDEN}`],
  ];
  const honest = smuggled(['content-length: 26'], EMPTY_PATIENT + HIDDEN);
  assert.deepEqual(statuses(await say(product, honest)), [201, 200], 'honest framing is served, both requests');
  const counts = await countsOf(product, ['Patient']);
  const answers = await Promise.all(cases.map(([, bytes]) => say(product, bytes)));
  for (const [index, text] of answers.entries()) {
    const what = cases[index]?.[0] ?? '';
    assert.deepEqual(statuses(text), [/20 kB/.test(what) ? 431 : 400], what);
  }
  assert.deepEqual(await countsOf(product, ['Patient']), counts);
});

test('[A3] a pipelined request is judged by its own token, not by the one before it', async () => {
  const first = get('/fhir/Patient').replace('connection: close', 'connection: keep-alive');
  const second = get('/fhir/Patient').replace(`${authorization}\r\n`, '');
  const text = await say(product, first + second);
  assert.deepEqual(statuses(text), [200, 401]);
});

test('[A3] HTTP/1.0 gets the same answers and the same refusals', async () => {
  const [open, closed] = await Promise.all([
    say(product, `GET /fhir/Patient HTTP/1.0\r\n${authorization}\r\n\r\n`),
    say(product, 'GET /fhir/Patient HTTP/1.0\r\n\r\n'),
  ]);
  assert.deepEqual([statuses(open), statuses(closed)], [[200], [401]]);
});

test('[T3] every answer has HSTS, those to broken requests included', async () => {
  for (const bytes of [
    'not HTTP\r\n\r\n',
    get('/healthz', 'content-length: 1, 1'),
    get('/nowhere'),
    get('/fhir/Patient'),
  ])
    assert.match(await say(product, bytes), /strict-transport-security: max-age=31536000/i, bytes.slice(0, 40));
});

test('[T1] TLS 1.2 and older, weak suites, weak groups and other protocols get no connection', async () => {
  const refused: readonly (readonly [string, ConnectionOptions])[] = [
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
    ['AES-128', { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' }],
    ['P-521 only', { ecdhCurve: 'P-521' }],
    ['finite field groups', { ecdhCurve: 'ffdhe2048' }],
    ['HTTP/2 by ALPN', { ALPNProtocols: ['h2'] }],
  ];
  for (const [what, options] of refused) {
    const { code = '' } = await openSocket(product, options).then(
      (socket) => (socket.destroy(), { code: 'connected' }),
      (error: NodeJS.ErrnoException) => error,
    );
    assert.match(code, /^ERR_SSL_.*ALERT/, what);
  }
});

test('[T2] the offered suites are the two of the policy, and the hybrid group comes first', async () => {
  const agreed = async (options: ConnectionOptions) => {
    const socket = await openSocket(product, options);
    const { name: group } = socket.getEphemeralKeyInfo() as { name?: string };
    const found = [socket.getProtocol(), socket.getCipher().name, group];
    socket.destroy();
    return found;
  };
  assert.deepEqual(await agreed({}), ['TLSv1.3', 'TLS_AES_256_GCM_SHA384', 'X25519MLKEM768']);
  const [, chacha, group] = await agreed({ ciphers: 'TLS_CHACHA20_POLY1305_SHA256', ecdhCurve: 'P-256' });
  assert.deepEqual([chacha, group], ['TLS_CHACHA20_POLY1305_SHA256', 'prime256v1']);
});

test('[A6] a client that never ends its body is cut off', { skip: !process.env['KEYWARD_TEST_ALL'] }, async () => {
  const headers = ['content-type: application/fhir+json', 'content-length: 26'];
  const { text, tookMs } = await stall(request('POST', '/fhir/Patient', headers, '{'), SLOW_BODY_END_MS + 5_000);
  assert.match(text, /^(HTTP\/1\.1 4|$)/);
  assert.ok(tookMs < SLOW_BODY_END_MS, `${tookMs} ms`);
});

test('[A6] a client that never ends its headers is cut off, while others are served', async () => {
  assert.equal((await product.fhir({ path: '/Patient', role: 'clinician' })).status, 200);
  const { text, tookMs } = await slow;
  assert.match(text, /^(HTTP\/1\.1 4|$)/);
  assert.ok(tookMs < SLOW_HEADERS_END_MS, `${tookMs} ms`);
});
