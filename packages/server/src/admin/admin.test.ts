import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { connect } from 'node:tls';
import { ensureServerCertificate, type ServerCertificate } from '../ca/index.ts';
import { type AuditEvent, createLog, dataPaths, KeywardError, systemClock } from '../core/index.ts';
import type { TailQuery } from '../ledger/index.ts';
import { type AdminServer, createAdminServer, type KeyCall } from './index.ts';

const CALLERS: Readonly<Record<string, string>> = {
  'Bearer of-auditor': 'auditor',
  'Bearer of-admin': 'admin',
  'Bearer of-admin-without-mfa': 'admin',
  'Bearer of-clinician': 'clinician',
};
const ENTRY = { position: 7n, id: 'e7', at: new Date(0), class: 'disclosure', leafHash: '00', intact: true } as const;
const SERVED_ENTRY = { ...ENTRY, position: '7', at: '1970-01-01T00:00:00.000Z' };
const KEY_ID = 'ab'.repeat(16);
const KEY_ANSWERS: Readonly<Record<string, unknown>> = {
  'acts/destroy': { request: { id: 'r1' } },
  'questions/show': { versions: [{ id: KEY_ID }] },
};
const HELD = { body: 'c2VhbGVk' };

let directory: string;
let certificate: ServerCertificate;
let server: AdminServer;
let port: number;
let recorded: AuditEvent[];
let asked: (TailQuery | string)[];
let logged: string;
let carried: KeyCall[];
let parts: Record<string, boolean>;
let ledgerWorks: boolean;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'keyward-admin-'));
  certificate = await ensureServerCertificate({ paths: dataPaths(directory), clock: systemClock });
  server = createAdminServer({
    tls: certificate,
    tenant: 'default',
    verify: async (header) => {
      const role = CALLERS[header ?? ''];
      if (!role) throw new KeywardError(header ? 'IDENTITY_TOKEN_INVALID' : 'IDENTITY_TOKEN_MISSING');
      return { sub: `one-${role}`, role, mfa: !header?.endsWith('without-mfa') };
    },
    services: {
      tailLedger: async (query) => (asked.push(query), [ENTRY]),
      atRest: async (type, id) => {
        asked.push(`${type}/${id}`);
        if (id === 'broken') throw new Error('Testerby could not be read');
        return id === 'none' ? undefined : HELD;
      },
      manageKeys: async (call) => {
        carried.push(call);
        if (call.path === 'acts/refused') throw new KeywardError('KEYS_HELD', { detail: 'A hold.' });
        return KEY_ANSWERS[call.path] ?? { result: {} };
      },
      usesOfKeys: async (keyIds, since) => {
        asked.push(`${keyIds.join()} since ${since.getTime()}`);
        return { uses: [], unreadable: 0 };
      },
      ready: async () => parts,
    },
    audit: {
      async record(events) {
        if (!ledgerWorks) throw new KeywardError('LEDGER_UNAVAILABLE');
        recorded.push(...events);
      },
    },
    log: createLog('admin', { write: (line) => void (logged += line) }),
  });
  port = await server.listen({ host: '127.0.0.1', port: 0 });
});

beforeEach(() => {
  recorded = [];
  asked = [];
  carried = [];
  logged = '';
  parts = { custodian: true, ledger: true };
  ledgerWorks = true;
});

after(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function send(path: string, token?: string, options: RequestOptions = {}): Promise<Answer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port, path, ca: certificate.caCertificate, headers, agent: false, ...options },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => void (text += chunk));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      },
    );
    call.on('error', reject);
    call.end();
  });
}

const json = (answer: Answer) => JSON.parse(answer.text) as Record<string, unknown>;

test('[T1] TLS 1.2 is refused', async () => {
  await assert.rejects(send('/healthz', undefined, { maxVersion: 'TLSv1.2' }), /alert protocol version/);
});

test('[T2] the connection uses AES-256-GCM of TLS 1.3', async () => {
  const socket = connect({ host: '127.0.0.1', port, ca: certificate.caCertificate });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  assert.equal(socket.getProtocol(), 'TLSv1.3');
  assert.equal(socket.getCipher().standardName, 'TLS_AES_256_GCM_SHA384');
  socket.destroy();
});

for (const path of ['/healthz', '/readyz', '/metrics', '/nothing', '/%', '/v1/ledger/entries']) {
  test(`[T3] ${path} carries HSTS and no-store`, async () => {
    const { headers } = await send(path);
    assert.match(headers['strict-transport-security'] ?? '', /^max-age=\d{8}$/);
    assert.equal(headers['cache-control'], 'no-store');
  });
}

test('[T3] even what is not HTTP is answered with HSTS', async () => {
  const socket = connect({ host: '127.0.0.1', port, ca: certificate.caCertificate });
  let text = '';
  socket.on('data', (chunk) => void (text += String(chunk)));
  socket.write('NOT HTTP AT ALL\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
  assert.match(text, /^HTTP\/1\.1 400 [^]*strict-transport-security: max-age=/);
});

test('[S3] ready only when every part is', async () => {
  assert.equal((await send('/readyz')).status, 200);
  parts = { custodian: true, ledger: false };
  const answer = await send('/readyz');
  assert.equal(answer.status, 503);
  assert.deepEqual(json(answer), { status: 'not ready', parts: { custodian: true, ledger: false } });
});

test('[S3] metrics are Prometheus text; requests are counted by route and never by URL', async () => {
  await send('/v1/store/at-rest/Patient/secret-id', 'of-admin');
  const { text, headers } = await send('/metrics');
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.match(text, /^# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes \d+$/m);
  assert.match(text, /^keyward_admin_requests_total\{route="\/v1\/store\/at-rest\/:type\/:id",status="200"\} \d+$/m);
  assert.doesNotMatch(text, /secret-id/);
});

test('[L1] a read of the ledger is recorded before it is answered, and the query arrives parsed', async () => {
  const answer = await send('/v1/ledger/entries?limit=5&after=3&class=denial', 'of-auditor');
  assert.equal(answer.status, 200);
  assert.deepEqual(json(answer), { entries: [SERVED_ENTRY] });
  assert.deepEqual(asked, [{ limit: 5, after: 3n, class: 'denial' }]);
  assert.deepEqual(
    recorded.map(({ class: eventClass, interaction, decision, actor }) => ({
      eventClass,
      interaction,
      decision,
      actor,
    })),
    [
      {
        eventClass: 'admin',
        interaction: 'ledger.entries',
        decision: 'permit',
        actor: { sub: 'one-auditor', role: 'auditor', address: '127.0.0.1' },
      },
    ],
  );
});

test('[L1] what is held at rest is told to an admin, and the record names the resource', async () => {
  const answer = await send('/v1/store/at-rest/Patient/p1', 'of-admin');
  assert.deepEqual(json(answer), HELD);
  assert.deepEqual(
    recorded.map(({ class: eventClass, resources }) => [eventClass, resources]),
    [['admin', ['Patient/p1']]],
  );
});

test('[L1] when the ledger cannot record, nothing is read', async () => {
  ledgerWorks = false;
  const answer = await send('/v1/store/at-rest/Patient/p1', 'of-admin');
  assert.deepEqual([answer.status, json(answer)['code']], [503, 'LEDGER_UNAVAILABLE']);
  assert.deepEqual(asked, []);
});

const REFUSALS = [
  { path: '/v1/ledger/entries', token: undefined, status: 401, code: 'IDENTITY_TOKEN_MISSING', event: 'denial' },
  { path: '/v1/ledger/entries', token: 'forged', status: 401, code: 'IDENTITY_TOKEN_INVALID', event: 'denial' },
  { path: '/v1/ledger/entries', token: 'of-clinician', status: 403, code: 'ACCESS_DENIED', event: 'denial' },
  {
    path: '/v1/store/at-rest/Patient/p1',
    token: 'of-admin-without-mfa',
    status: 401,
    code: 'IDENTITY_MFA_REQUIRED',
    event: 'denial',
  },
  { path: '/v1/store/at-rest/Patient/p1', token: 'of-auditor', status: 403, code: 'ACCESS_DENIED', event: 'denial' },
  {
    path: '/v1/ledger/entries?limit=0',
    token: 'of-auditor',
    status: 400,
    code: 'ADMIN_QUERY_INVALID',
    event: 'failure',
  },
  {
    path: '/v1/ledger/entries?limit=1001',
    token: 'of-auditor',
    status: 400,
    code: 'ADMIN_QUERY_INVALID',
    event: 'failure',
  },
  {
    path: '/v1/ledger/entries?limit=1&limit=2',
    token: 'of-auditor',
    status: 400,
    code: 'ADMIN_QUERY_INVALID',
    event: 'failure',
  },
  {
    path: '/v1/ledger/entries?class=everything',
    token: 'of-auditor',
    status: 400,
    code: 'ADMIN_QUERY_INVALID',
    event: 'failure',
  },
  {
    path: '/v1/ledger/entries?subject=Testerby',
    token: 'of-auditor',
    status: 400,
    code: 'ADMIN_QUERY_INVALID',
    event: 'failure',
  },
  {
    path: '/v1/store/at-rest/Patient/a%2Fb',
    token: 'of-admin',
    status: 400,
    code: 'ADMIN_QUERY_INVALID',
    event: 'failure',
  },
  { path: '/v1/store/at-rest/Patient/none', token: 'of-admin', status: 404, code: 'FHIR_NOT_FOUND', event: 'failure' },
  { path: '/v1/store/at-rest/Patient/broken', token: 'of-admin', status: 500, code: 'CORE_INTERNAL', event: 'failure' },
];

for (const { path, token, status, code, event } of REFUSALS) {
  test(`[A3] ${path} by ${token ?? 'nobody'} is refused with ${code} and recorded`, async () => {
    const answer = await send(path, token);
    const problem = json(answer);
    assert.deepEqual([answer.status, problem['code']], [status, code]);
    assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
    const last = recorded.at(-1);
    assert.deepEqual([last?.class, last?.code, last?.correlationId], [event, code, problem['correlationId']]);
    assert.doesNotMatch(answer.text + logged, /Testerby/);
  });
}

test('[A3] an unknown address and another method are refused alike', async () => {
  const unknown = await send('/v2/keys', 'of-admin');
  const posted = await send('/v1/ledger/entries', 'of-admin', { method: 'POST' });
  assert.deepEqual([unknown.status, json(unknown)['code']], [404, 'ADMIN_NOT_FOUND']);
  assert.deepEqual([posted.status, json(posted)['code']], [404, 'ADMIN_NOT_FOUND']);
});

test('[P2] the log names routes, and no parameter or path', async () => {
  await send('/v1/store/at-rest/Patient/secret-id?x=secret-value', 'of-admin');
  assert.match(logged, /"route":"\/v1\/store\/at-rest\/:type\/:id"/);
  assert.doesNotMatch(logged, /secret/);
});

/** A call of an operator, as the CLI makes it. */
function post(path: string, token: string, body: string, type = 'application/json'): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': type };
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      ca: certificate.caCertificate,
      headers,
      agent: false,
      method: 'POST',
    };
    const call = request(options, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => void (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
    });
    call.on('error', reject);
    call.end(body);
  });
}

test("[K4] an operator's call is carried to the custodian with the operator's own token, and recorded before", async () => {
  const body = { params: { target: 'kek/1' }, reason: 'because' };
  const answer = await post('/v1/keys/acts/suspend', 'of-admin', JSON.stringify(body));
  assert.deepEqual([answer.status, json(answer)], [200, { result: {} }]);
  const [event] = recorded;
  const expected = { method: 'POST', path: 'acts/suspend', body, operator: 'Bearer of-admin' };
  assert.deepEqual(carried, [{ ...expected, correlationId: event?.correlationId }]);
  assert.deepEqual([event?.interaction, event?.decision], ['keys.act', 'permit']);
});

test('[K5] what waits for approvals is answered with 202', async () => {
  const answer = await post('/v1/keys/acts/destroy', 'of-admin', '{"params": {}, "reason": "x"}');
  assert.deepEqual([answer.status, json(answer)], [202, { request: { id: 'r1' } }]);
});

test('[K5] a refusal of the custodian arrives with its code and detail, and is recorded', async () => {
  const answer = await post('/v1/keys/acts/refused', 'of-admin', '{"params": {}, "reason": "x"}');
  const { code, detail } = json(answer);
  assert.deepEqual([answer.status, code, detail, recorded.at(-1)?.code], [409, 'KEYS_HELD', 'A hold.', 'KEYS_HELD']);
});

test('[K7] who used a key is asked of the ledger for the ids that the custodian tells', async () => {
  const answer = await post('/v1/keys/usage', 'of-auditor', '{"target": "tenant", "days": 2}');
  assert.deepEqual(json(answer), { uses: [], unreadable: 0 });
  assert.deepEqual(carried[0]?.body, { params: { target: 'tenant' } });
  assert.match(JSON.stringify(asked[0]), new RegExp(`^"${KEY_ID} since \\d+"$`));
});

const KEY_REFUSALS = [
  { path: '/v1/keys/acts/suspend', token: 'of-clinician', body: '{}', status: 403, code: 'ACCESS_DENIED' },
  {
    path: '/v1/keys/acts/suspend',
    token: 'of-admin-without-mfa',
    body: '{}',
    status: 401,
    code: 'IDENTITY_MFA_REQUIRED',
  },
  { path: '/v1/keys/acts/..%2Fprotect', token: 'of-admin', body: '{}', status: 400, code: 'ADMIN_QUERY_INVALID' },
  { path: '/v1/keys/acts/suspend?x=1', token: 'of-admin', body: '{}', status: 400, code: 'ADMIN_QUERY_INVALID' },
  { path: '/v1/keys/acts/suspend', token: 'of-admin', body: '[]', status: 400, code: 'ADMIN_QUERY_INVALID' },
  { path: '/v1/keys/acts/suspend', token: 'of-admin', body: '{"a":1,"a":2}', status: 400, code: 'JSON_DUPLICATE_KEY' },
  {
    path: '/v1/keys/requests/no-uuid/approve',
    token: 'of-admin',
    body: '{}',
    status: 400,
    code: 'ADMIN_QUERY_INVALID',
  },
  { path: '/v1/keys/usage', token: 'of-admin', body: '{"target": "kek/1"}', status: 400, code: 'ADMIN_QUERY_INVALID' },
];

for (const { path, token, body, status, code } of KEY_REFUSALS) {
  test(`[K4] POST ${path} with ${body} by ${token} is refused with ${code}, and nothing is carried`, async () => {
    const answer = await post(path, token, body);
    assert.deepEqual([answer.status, json(answer)['code'], carried], [status, code, []]);
  });
}

test('[K4] a body that is no JSON is not carried either', async () => {
  const answer = await post('/v1/keys/acts/suspend', 'of-admin', 'a=1', 'text/plain');
  assert.deepEqual([answer.status, json(answer)['code'], carried], [400, 'ADMIN_QUERY_INVALID', []]);
});
