/** The custodian over mutual TLS: real handshakes, by processes it knows and by those it must not serve. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { ensureCustodianCertificates, ensureServerCertificate } from '../../packages/server/src/ca/index.ts';
import { createLog, type DataPaths, dataPaths, systemClock } from '../../packages/server/src/core/index.ts';
import { createCustodianServer } from '../../packages/server/src/keys/index.ts';
import {
  type KeyDatabase,
  startCustodian,
  startKeyDatabase,
  TEST_USE,
} from '../../packages/server/src/keys/testing.ts';
import { type ClientTls, createCustodianClient } from '../../packages/sdk/src/client/index.ts';
import { freePorts } from '../support/product.ts';

const DAY_MS = 86_400_000;
const CLIENTS = ['gateway', 'store', 'admin'] as const;
const CREDENTIALS = {
  gateway: 'test-credential-of-the-gateway-000000000000',
  store: 'test-credential-of-the-store-00000000000000',
  admin: 'test-credential-of-the-admin-00000000000000',
};
const TENANT_KEY = [{ kind: 'tenant' }] as const;

let database: KeyDatabase;
let folder: string;
before(async () => {
  database = await startKeyDatabase();
  folder = mkdtempSync(join(tmpdir(), 'keyward-mtls-'));
});
after(async () => {
  await database.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Issue {
  readonly paths: DataPaths;
  readonly tenant: string;
  readonly daysAgo?: number;
}

/** Certificates of the CA in a data directory, in a folder of their own. */
async function issue({ paths, tenant, daysAgo = 0 }: Issue): Promise<DataPaths> {
  const clientCertificates = mkdtempSync(join(folder, 'clients-'));
  const own = { ...paths, clientCertificates, custodianCertificate: join(clientCertificates, 'custodian.pem') };
  const at = new Date(Date.now() - daysAgo * DAY_MS);
  await ensureCustodianCertificates({ paths: own, clock: { now: () => at }, tenant, clients: CLIENTS });
  return own;
}

const pem = (paths: DataPaths, name: string) => readFileSync(join(paths.clientCertificates, `${name}.pem`), 'utf8');

function tlsOf(paths: DataPaths, name: (typeof CLIENTS)[number] = 'gateway'): ClientTls {
  const pair = pem(paths, name);
  return { ca: pem(paths, 'ca'), cert: pair, key: pair };
}

async function start(context: TestContext) {
  const started = await startCustodian(context, database.pool);
  const { tenant, custodian, ledger } = started;
  const paths = await issue({ paths: dataPaths(mkdtempSync(join(folder, 'data-'))), tenant });
  const [port = 0] = await freePorts(1);
  const clock = { at: () => Date.now(), now: () => new Date(clock.at()) };
  const pair = pem(paths, 'custodian');
  const server = createCustodianServer({
    custodian,
    socketPath: join(mkdtempSync(join(folder, 'sockets-')), 'custodian.sock'),
    listen: { host: '127.0.0.1', port, tenant, ca: pem(paths, 'ca'), cert: pair, key: pair },
    credentials: CREDENTIALS,
    clock,
    log: createLog('test', { write: () => undefined }),
  });
  await server.start();
  context.after(() => server.close());
  const url = `https://localhost:${port}`;
  const client = (tls: ClientTls, credential?: string) =>
    createCustodianClient({ url, tls, timeoutMs: 5000, ...(credential === undefined ? {} : { credential }) });
  const strangers = () => ledger.events.filter(({ code }) => code === 'KEYS_UNAUTHENTICATED').length;
  return { tenant, paths, port, clock, client, ledger, strangers };
}

test('[T4] a process is known by its certificate, and gets its keys by TLS 1.3', async (context) => {
  const { paths, client, ledger, port } = await start(context);
  const gateway = client(tlsOf(paths));
  const [key] = await gateway.protect(TENANT_KEY, TEST_USE);
  assert.equal((await gateway.process([key!.id], TEST_USE))[0]!.id, key!.id);
  assert.equal(ledger.events.at(-1)!.actor.client, 'gateway');
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ...tlsOf(paths) });
  await once(socket, 'secureConnect');
  assert.equal(socket.getProtocol(), 'TLSv1.3');
  socket.destroy();
});

test('[T4] a certificate gives the kinds of its process and no others', async (context) => {
  const { paths, client } = await start(context);
  for (const name of ['store', 'admin'] as const)
    await assert.rejects(client(tlsOf(paths, name)).protect(TENANT_KEY, TEST_USE), { code: 'KEYS_FORBIDDEN' });
  assert.equal((await client(tlsOf(paths, 'store')).protect([{ kind: 'store' }], TEST_USE)).length, 1);
});

test('[T4] who shows a certificate and a credential must be the same process by both', async (context) => {
  const { paths, client, strangers } = await start(context);
  assert.equal((await client(tlsOf(paths), CREDENTIALS.gateway).protect(TENANT_KEY, TEST_USE)).length, 1);
  for (const credential of [CREDENTIALS.store, 'x'.repeat(43), '']) {
    const refused = client(tlsOf(paths), credential).protect(TENANT_KEY, TEST_USE);
    await assert.rejects(refused, { code: 'KEYS_UNAUTHENTICATED' });
  }
  assert.equal(strangers(), 3);
});

test('[T4] a certificate of another tenant, or of a server, names nobody here', async (context) => {
  const { paths, client, strangers } = await start(context);
  const foreign = tlsOf(await issue({ paths, tenant: 'another-tenant' }));
  await assert.rejects(client(foreign).protect(TENANT_KEY, TEST_USE), { code: 'KEYS_UNAUTHENTICATED' });
  assert.equal(strangers(), 1);
  const { certificate, privateKey } = await ensureServerCertificate({ paths, clock: systemClock });
  const server = { ca: pem(paths, 'ca'), cert: certificate, key: privateKey };
  await assert.rejects(client(server).protect(TENANT_KEY, TEST_USE), { code: 'KEYS_UNAVAILABLE' });
});

test('[T4] without a certificate that verifies now there is no connection, and the attempt is recorded', async (context) => {
  const { paths, tenant, client, strangers } = await start(context);
  const other = await issue({ paths: dataPaths(mkdtempSync(join(folder, 'data-'))), tenant });
  const refused: Record<string, ClientTls> = {
    'another CA': { ...tlsOf(other), ca: pem(paths, 'ca') },
    expired: tlsOf(await issue({ paths, tenant, daysAgo: 100 })),
    'no certificate': { ca: pem(paths, 'ca'), cert: '', key: '' },
  };
  for (const [what, tls] of Object.entries(refused)) {
    const earlier = strangers();
    await assert.rejects(client(tls).protect(TENANT_KEY, TEST_USE), { code: 'KEYS_UNAVAILABLE' }, what);
    for (const deadline = Date.now() + 5_000; strangers() === earlier && Date.now() < deadline; )
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(strangers(), earlier + 1, what);
  }
});

test('[T1] TLS 1.2 is refused', async (context) => {
  const { paths, port } = await start(context);
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ...tlsOf(paths), maxVersion: 'TLSv1.2' });
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.match(error.code ?? '', /^ERR_SSL_|ECONNRESET/);
});

test('[T4] a connection does not outlive the certificate it was made with', async (context) => {
  const { paths, client, clock } = await start(context);
  const gateway = client(tlsOf(paths));
  await gateway.protect(TENANT_KEY, TEST_USE);
  clock.at = () => Date.now() + 91 * DAY_MS;
  await assert.rejects(gateway.protect(TENANT_KEY, TEST_USE), { code: 'KEYS_UNAUTHENTICATED' });
});

test('[T4] a process sends nothing to a custodian whose certificate does not verify', async (context) => {
  const { tenant, paths, client, ledger } = await start(context);
  const other = await issue({ paths: dataPaths(mkdtempSync(join(folder, 'data-'))), tenant });
  const misled = client({ ...tlsOf(paths), ca: pem(other, 'ca') });
  await assert.rejects(misled.protect(TENANT_KEY, TEST_USE), { code: 'KEYS_UNAVAILABLE' });
  assert.equal(
    ledger.events.some(({ interaction }) => interaction === 'keys.protect'),
    false,
  );
});

test('[K4] health is answered to a certificate alone, and tells nothing', async (context) => {
  const { paths, port } = await start(context);
  const outgoing = request({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    path: '/readyz',
    ...tlsOf(paths),
  }).end();
  const [incoming] = (await once(outgoing, 'response')) as [{ statusCode?: number; resume(): void }];
  incoming.resume();
  assert.equal(incoming.statusCode, 200);
});
