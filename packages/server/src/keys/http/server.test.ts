/** The custodian's API over a real socket: who is let in, what is accepted, and what happens when something dies. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import {
  type ClientErrorCode,
  createCustodianClient,
  createKeyCache,
  isClientErrorCode,
  MAX_KEYS_PER_CALL,
} from '@keyward/sdk/client';
import { type Clock, type ErrorCode, newUuid, systemClock } from '../../core/index.ts';
import { openPool } from '../../db/index.ts';
import { type KeyDatabase, startCustodian, startKeyDatabase, TEST_USE, testDirectory, testLog } from '../testing.ts';
import type { CustodianCredentials } from './credentials.ts';
import { createCustodianServer } from './server.ts';
import { CHILD_CREDENTIALS } from './server.child.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const CREDENTIALS: CustodianCredentials = CHILD_CREDENTIALS;
const TENANT_KEY = { specs: [{ kind: 'tenant' }], use: TEST_USE };

async function startServer(context: TestContext, changes: { clock?: Clock; pool?: KeyDatabase['pool'] } = {}) {
  const { pool = database.pool, clock = systemClock } = changes;
  const started = await startCustodian(context, pool);
  const socketPath = join(testDirectory(context), 'sockets', 'custodian.sock');
  const { custodian, logLines } = started;
  const newServer = () =>
    createCustodianServer({ custodian, socketPath, credentials: CREDENTIALS, clock, log: testLog(logLines) });
  const server = newServer();
  await server.start();
  context.after(() => server.close());
  const client = (name: keyof CustodianCredentials = 'gateway') =>
    createCustodianClient({ socketPath, credential: CREDENTIALS[name], timeoutMs: 5000 });
  return { ...started, socketPath, server, newServer, client };
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

interface Call {
  readonly path?: string;
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** A request as anybody on this machine could make it. */
async function call(
  socketPath: string,
  { path = '/v1/keys/protect', method = 'POST', body, headers = {} }: Call,
): Promise<Answer> {
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  const outgoing = request({ socketPath, path, method, agent: false, headers: { ...type, ...headers } });
  outgoing.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body));
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  const text = (await incoming.toArray()).join('');
  return { status: incoming.statusCode!, headers: incoming.headers, text };
}

const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });

test('[K10] keys travel over a socket that only this user can reach, and are not to be stored', async (context) => {
  const { socketPath, client } = await startServer(context);
  assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  assert.equal(statSync(join(socketPath, '..')).mode & 0o777, 0o700);
  const [key] = await client().protect([{ kind: 'tenant' }], TEST_USE);
  const [again] = await client().process([key!.id], TEST_USE);
  assert.ok(again!.secret.equals(key!.secret));
  const { status, headers } = await call(socketPath, { body: TENANT_KEY, headers: bearer(CREDENTIALS.gateway) });
  assert.deepEqual([status, headers['cache-control']], [200, 'no-store']);
});

const STRANGERS: Record<string, Record<string, string>> = {
  'no credential': {},
  'an empty one': bearer(''),
  'a wrong one': bearer('x'.repeat(43)),
  'one character too few': bearer(CREDENTIALS.gateway.slice(0, -1)),
  'one character too many': bearer(`${CREDENTIALS.gateway}A`),
  'another scheme': { authorization: `Basic ${CREDENTIALS.gateway}` },
};

for (const [what, headers] of Object.entries(STRANGERS)) {
  test(`[K4] with ${what} nobody gets a key, and the attempt is recorded`, async (context) => {
    const { socketPath, ledger } = await startServer(context);
    for (const path of ['/v1/keys/protect', '/v1/keys/process']) {
      const { status, text } = await call(socketPath, { path, body: TENANT_KEY, headers });
      assert.equal(status, 401);
      assert.equal((JSON.parse(text) as { code: string }).code, 'KEYS_UNAUTHENTICATED');
    }
    const denials = ledger.events.filter((event) => event.class === 'denial');
    assert.deepEqual(
      denials.map(({ actor, code }) => [actor.sub, code]),
      [
        ['-', 'KEYS_UNAUTHENTICATED'],
        ['-', 'KEYS_UNAUTHENTICATED'],
      ],
    );
  });
}

test('[K4] a stranger who knocks in a loop is refused every time and recorded ten times a minute', async (context) => {
  let nowMs = 0;
  const { socketPath, ledger } = await startServer(context, { clock: { now: () => new Date(nowMs) } });
  const knock = async () => assert.equal((await call(socketPath, { body: TENANT_KEY })).status, 401);
  const denials = () => ledger.events.filter((event) => event.class === 'denial').length;
  for (let at = 0; at < 15; at += 1) await knock();
  assert.equal(denials(), 10);
  nowMs = 60_000;
  await knock();
  assert.equal(denials(), 11);
  ledger.down = true;
  await knock();
});

test('[K4] a credential gives the kinds of its process and no others', async (context) => {
  const { client } = await startServer(context);
  await assert.rejects(client('admin').protect([{ kind: 'tenant' }], TEST_USE), { code: 'KEYS_FORBIDDEN' });
  await assert.rejects(client('gateway').protect([{ kind: 'store' }], TEST_USE), { code: 'KEYS_FORBIDDEN' });
  assert.equal((await client('store').protect([{ kind: 'store' }], TEST_USE)).length, 1);
});

test('[K4] credentials that are weak or shared keep the custodian from starting', async (context) => {
  const { custodian } = await startCustodian(context, database.pool);
  const options = { custodian, socketPath: '/nowhere/custodian.sock', clock: systemClock, log: testLog() };
  for (const wrong of ['', 'short', CREDENTIALS.store]) {
    const credentials = { ...CREDENTIALS, gateway: wrong };
    assert.throws(() => createCustodianServer({ ...options, credentials }), { code: 'CONFIG_INVALID' });
  }
});

const USE = TEST_USE;
const UUID = newUuid();
const without = (member: keyof typeof USE) => ({ ...USE, [member]: undefined });
const BAD_BODIES: Record<string, unknown> = {
  'no JSON': '{"specs": [',
  nothing: '',
  'an unknown member': { ...TENANT_KEY, admin: true },
  'an unknown member of a spec': { specs: [{ kind: 'tenant', subject: UUID }], use: USE },
  'an unknown kind': { specs: [{ kind: 'root' }], use: USE },
  'a subject that is no UUID': { specs: [{ kind: 'subject', subject: 'Jane Roe' }], use: USE },
  'a subject in capitals': { specs: [{ kind: 'subject', subject: UUID.toUpperCase() }], use: USE },
  'a day that is none': { specs: [{ kind: 'ledger', day: '2026-02-30' }], use: USE },
  'an empty list': { specs: [], use: USE },
  'too long a list': { specs: Array.from({ length: MAX_KEYS_PER_CALL + 1 }, () => ({ kind: 'tenant' })), use: USE },
  'no purpose': { specs: [{ kind: 'tenant' }], use: without('purpose') },
  'no tenant': { specs: [{ kind: 'tenant' }], use: without('tenant') },
  'no list of subjects': { specs: [{ kind: 'tenant' }], use: without('subjects') },
  'no correlation id': { specs: [{ kind: 'tenant' }], use: without('correlationId') },
  'a stated subject that is no UUID': { specs: [{ kind: 'tenant' }], use: { ...USE, subjects: ['Jane Roe'] } },
  'too many subjects': {
    specs: [{ kind: 'tenant' }],
    use: { ...USE, subjects: Array.from({ length: MAX_KEYS_PER_CALL + 1 }, () => UUID) },
  },
  'a correlation id that is no UUID': {
    specs: [{ kind: 'tenant' }],
    use: { ...USE, correlationId: 'Jane Roe' },
  },
};

for (const [what, body] of Object.entries(BAD_BODIES)) {
  test(`[K6] a body with ${what} is refused, and nothing of it is repeated`, async (context) => {
    const { socketPath, ledger, logLines } = await startServer(context);
    const { status, headers, text } = await call(socketPath, { body, headers: bearer(CREDENTIALS.gateway) });
    assert.equal(status, 400);
    assert.match(String(headers['content-type']), /^application\/problem\+json/);
    assert.equal((JSON.parse(text) as { code: string }).code, 'KEYS_REQUEST_INVALID');
    assert.doesNotMatch(text + logLines.join(''), /Jane Roe/);
    assert.deepEqual(ledger.events, []);
  });
}

test('[K6] an id that is not 32 lower-case hex digits is refused, and so is any other address', async (context) => {
  const { socketPath } = await startServer(context);
  const headers = bearer(CREDENTIALS.gateway);
  for (const id of ['', 'F'.repeat(32), 'f'.repeat(31), `${'f'.repeat(31)}g`]) {
    const answer = await call(socketPath, { path: '/v1/keys/process', body: { ids: [id], use: USE }, headers });
    assert.equal(answer.status, 400);
  }
  for (const path of ['/', '/v1/keys', '/v1/keys/export'])
    assert.equal((await call(socketPath, { path, headers })).status, 400);
  assert.equal((await call(socketPath, { method: 'GET', headers })).status, 400);
});

test('[K6] an error repeats the correlation id of the request and holds no credential', async (context) => {
  const { socketPath, logLines } = await startServer(context);
  const body = { specs: [{ kind: 'store' }], use: USE };
  const { status, text } = await call(socketPath, { body, headers: bearer(CREDENTIALS.gateway) });
  assert.equal(status, 403);
  assert.equal((JSON.parse(text) as { correlationId: string }).correlationId, USE.correlationId);
  assert.equal(text.includes(CREDENTIALS.gateway) || logLines.join('').includes(CREDENTIALS.gateway), false);
});

test('[K6] who acts is recorded with the issuer of the token', async (context) => {
  const { client, ledger } = await startServer(context);
  await client().protect([{ kind: 'tenant' }], { ...USE, issuer: 'https://idp.example' });
  const { sub, issuer } = ledger.events.at(-1)!.actor;
  assert.deepEqual([sub, issuer], [USE.actor, 'https://idp.example']);
});

test('[K6] no record, no key: over the socket the client gets the code of the ledger', async (context) => {
  const { client, ledger } = await startServer(context);
  ledger.down = true;
  await assert.rejects(client().protect([{ kind: 'tenant' }], USE), {
    name: 'ClientError',
    code: 'LEDGER_UNAVAILABLE',
  });
});

test('[K6] a body that is announced beyond the limit is refused before it is sent', async (context) => {
  const { socketPath } = await startServer(context);
  const headers = { ...bearer(CREDENTIALS.gateway), 'content-type': 'application/json', 'content-length': '300000' };
  const outgoing = request({ socketPath, path: '/v1/keys/protect', method: 'POST', agent: false, headers });
  outgoing.on('error', () => undefined).flushHeaders();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  assert.equal(incoming.statusCode, 400);
  outgoing.destroy();
});

test('[K6] every code of the client is a row of the error table, and knows what a custodian answers', () => {
  const sameCode = (code: ClientErrorCode): ErrorCode => code;
  const answered: ErrorCode[] = [
    'KEYS_UNAUTHENTICATED',
    'KEYS_FORBIDDEN',
    'KEYS_USE_REFUSED',
    'KEYS_RATE_LIMITED',
    'KEYS_UNKNOWN_KEY',
    'KEYS_STATE_REFUSED',
    'KEYS_EXHAUSTED',
    'KEYS_REQUEST_INVALID',
    'KEYS_NOT_AUTHENTIC',
    'KEYS_ROOT_MISMATCH',
    'KEYS_ROOT_UNAVAILABLE',
    'KEYS_ROOT_REFUSED',
    'KEYS_UNAVAILABLE',
    'DB_UNAVAILABLE',
    'LEDGER_UNAVAILABLE',
  ];
  for (const code of answered) {
    assert.ok(isClientErrorCode(code), code);
    assert.equal(sameCode(code), code);
  }
});

test('[S1] health needs no credential and tells nothing', async (context) => {
  const { socketPath } = await startServer(context);
  for (const [path, status] of [
    ['/healthz', 'ok'],
    ['/readyz', 'ready'],
  ] as const) {
    const answer = await call(socketPath, { path, method: 'GET' });
    assert.deepEqual([answer.status, JSON.parse(answer.text)], [200, { status }]);
  }
});

test('[S1] a socket that a killed predecessor left is replaced; one that is listened on is not', async (context) => {
  const { newServer, client } = await startServer(context);
  await assert.rejects(newServer().start(), { code: 'UP_ALREADY_RUNNING' });
  assert.equal((await client().protect([{ kind: 'tenant' }], USE)).length, 1);
});

test('[S1] closing finishes what is under way and takes the socket away', async (context) => {
  const { client, server, socketPath, ledger } = await startServer(context);
  const [durable, called] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  ledger.before = () => (called.resolve(), durable.promise);
  const underWay = client().protect([{ kind: 'tenant' }], USE);
  await called.promise;
  const closed = server.close();
  durable.resolve();
  assert.equal((await underWay).length, 1);
  await closed;
  assert.equal(existsSync(socketPath), false);
  await assert.rejects(client().protect([{ kind: 'tenant' }], USE), { code: 'KEYS_UNAVAILABLE' });
});

test('[K10] a directory for sockets that is open to others is closed to them', async (context) => {
  const directory = join(testDirectory(context), 'sockets');
  mkdirSync(directory);
  chmodSync(directory, 0o777);
  const { custodian } = await startCustodian(context, database.pool);
  const socketPath = join(directory, 'custodian.sock');
  writeFileSync(socketPath, '');
  const server = createCustodianServer({
    custodian,
    socketPath,
    credentials: CREDENTIALS,
    clock: systemClock,
    log: testLog(),
  });
  await server.start();
  context.after(() => server.close());
  assert.equal(statSync(directory).mode & 0o777, 0o700);
});

/** A way to the database that can be cut. */
async function createCuttableLine(context: TestContext, port: number) {
  const sockets = new Set<Socket>();
  const bridge = (socket: Socket) => {
    const upstream = connect(port, '127.0.0.1');
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => undefined).on('close', () => [socket, upstream].forEach((other) => other.destroy()));
    }
    socket.pipe(upstream).pipe(socket);
  };
  const server = createServer(bridge);
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  };
  const cut = async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await closed;
  };
  const localPort = await listen(0);
  context.after(() => (server.listening ? cut() : undefined));
  return { port: localPort, cut, mend: () => listen(localPort) };
}

test('[S1] while the database is down keys are refused as unavailable, and served again when it is back', async (context) => {
  const line = await createCuttableLine(context, database.connection.port);
  const pool = openPool({ ...database.connection, port: line.port }, { max: 4, applicationName: 'cut test' });
  context.after(() => pool.end());
  const { client, socketPath } = await startServer(context, { pool });
  const [key] = await client().protect([{ kind: 'tenant' }], USE);
  await line.cut();
  await assert.rejects(client().process([key!.id], USE), { code: 'DB_UNAVAILABLE' });
  assert.equal((await call(socketPath, { path: '/readyz', method: 'GET' })).status, 503);
  assert.equal((await call(socketPath, { path: '/healthz', method: 'GET' })).status, 200);
  await line.mend();
  assert.equal((await client().process([key!.id], USE))[0]!.id, key!.id);
  assert.equal((await call(socketPath, { path: '/readyz', method: 'GET' })).status, 200);
});

test('[S1] when the custodian is killed, held keys serve, others fail closed, and the next custodian serves the same keys', async (context) => {
  const directory = testDirectory(context);
  const settings = { connection: database.connection, directory, tenant: `t-${newUuid()}` };
  const many = Array.from({ length: 500 }, () => ({ kind: 'subject', subject: newUuid() }) as const);
  const use = { ...USE, tenant: settings.tenant, subjects: many.map(({ subject }) => subject) };
  const socketPath = join(directory, 'sockets', 'custodian.sock');
  const startChild = async () => {
    const script = join(import.meta.dirname, 'server.child.ts');
    const child = spawn(process.execPath, [script, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'inherit'] });
    context.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    return child;
  };
  const service = createCustodianClient({ socketPath, credential: CREDENTIALS.gateway, timeoutMs: 5000 });
  const keys = createKeyCache(service, {
    maxAgeMs: 60_000,
    maxHandouts: 1000,
    maxKeys: 1000,
    now: () => performance.now(),
  });

  const first = await startChild();
  const [key] = await keys.protect([{ kind: 'tenant' }], use);
  const midWay = keys.protect(many, use);
  first.kill('SIGKILL');
  await assert.rejects(midWay, { code: 'KEYS_UNAVAILABLE' });
  assert.equal((await keys.protect([{ kind: 'tenant' }], use))[0], key);
  await assert.rejects(keys.process([key!.id], use), { code: 'KEYS_UNAVAILABLE' });
  assert.equal(existsSync(socketPath), true);

  await startChild();
  assert.equal((await keys.process([key!.id], use))[0]!.id, key!.id);
  assert.equal(new Set((await keys.protect(many, use)).map(({ id }) => id)).size, 500);
});
