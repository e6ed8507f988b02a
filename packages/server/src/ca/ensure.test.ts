/** The internal CA at work: real files, a real TLS server, and clients that trust nothing but ca.pem. */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { type Clock, type DataPaths, dataPaths, systemClock } from '../core/index.ts';
import { ensureCustodianCertificates, ensureServerCertificate, type ServerCertificate } from './index.ts';

const DAY_MS = 86_400_000;

async function freshPaths(t: TestContext): Promise<DataPaths> {
  const folder = await mkdtemp(join(tmpdir(), 'keyward-ca-'));
  t.after(() => rm(folder, { recursive: true }));
  return dataPaths(join(folder, 'data'));
}

const daysFromNow = (days: number) => {
  const at = new Date(Date.now() + days * DAY_MS);
  return { now: () => at };
};

/** What a TLS client with these options agrees on with a server that shows this certificate. */
async function handshake(
  shown: ServerCertificate,
  options: ConnectionOptions,
  serverOptions = {},
): Promise<string | null> {
  const server = createServer({
    cert: shown.certificate,
    key: shown.privateKey,
    minVersion: 'TLSv1.3',
    ...serverOptions,
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const { port, address } = server.address() as AddressInfo;
  const socket = connect({ host: address, port, ...options });
  try {
    await once(socket, 'secureConnect');
    return socket.getProtocol();
  } finally {
    socket.destroy();
    server.close();
  }
}

/** A client names DNS hosts in SNI; an IP address is checked as it is. */
const asked = (host: string): ConnectionOptions =>
  isIP(host)
    ? {
        checkServerIdentity: (_, peer) =>
          new X509Certificate(peer.raw).checkIP(host) ? undefined : new Error('other host'),
      }
    : { servername: host };

test('[T1] a client that trusts ca.pem alone speaks TLS 1.3 with localhost under each of its names', async (t) => {
  const paths = await freshPaths(t);
  const shown = await ensureServerCertificate({ paths, clock: systemClock });
  const ca = await readFile(paths.caCertificate, 'utf8');
  for (const host of ['localhost', '127.0.0.1', '::1']) {
    assert.equal(await handshake(shown, { ca, ...asked(host) }), 'TLSv1.3', host);
  }
});

test('[T1] a client refuses the certificate under another name, or without ca.pem', async (t) => {
  const paths = await freshPaths(t);
  const shown = await ensureServerCertificate({ paths, clock: systemClock });
  const ca = shown.caCertificate;
  await assert.rejects(handshake(shown, { ca, ...asked('keyward.example') }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  await assert.rejects(handshake(shown, { ca, ...asked('127.0.0.2') }), /other host/);
  await assert.rejects(handshake(shown, { ...asked('localhost') }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  const other = await ensureServerCertificate({ paths: await freshPaths(t), clock: systemClock });
  await assert.rejects(handshake(shown, { ca: other.caCertificate, ...asked('localhost') }));
});

test('[T6] certificates say what they are for and for how long', async (t) => {
  const shown = await ensureServerCertificate({ paths: await freshPaths(t), clock: systemClock });
  const [ca, server] = [new X509Certificate(shown.caCertificate), new X509Certificate(shown.certificate)];
  const days = (of: X509Certificate) => Math.round((of.validToDate.getTime() - of.validFromDate.getTime()) / DAY_MS);
  assert.deepEqual([ca.subject, ca.ca, days(ca)], ['CN=Keyward development CA', true, 1825]);
  assert.deepEqual([server.subject, server.ca, days(server)], ['CN=localhost', false, 90]);
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.ok(server.checkIssued(ca));
  assert.ok(!shown.certificate.includes('PRIVATE KEY') && !shown.caCertificate.includes('PRIVATE KEY'));
});

test('[T6] the CA may not make another CA', async (t) => {
  const { caCertificate } = await ensureServerCertificate({ paths: await freshPaths(t), clock: systemClock });
  const x509 = await import('@peculiar/x509');
  const constraints = new x509.X509Certificate(caCertificate).getExtension(x509.BasicConstraintsExtension);
  assert.deepEqual([constraints?.ca, constraints?.pathLength, constraints?.critical], [true, 0, true]);
});

test('[K10] private keys are readable by their owner alone, the CA certificate by everybody', async (t) => {
  const paths = await freshPaths(t);
  await ensureServerCertificate({ paths, clock: systemClock });
  const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
  assert.deepEqual((await readdir(paths.ca)).sort(), ['ca.key', 'server.pem']);
  assert.deepEqual(
    [await modeOf(paths.ca), await modeOf(join(paths.ca, 'ca.key')), await modeOf(join(paths.ca, 'server.pem'))],
    [0o700, 0o600, 0o600],
  );
  assert.equal(await modeOf(paths.caCertificate), 0o644);
});

test('[K10] a private key that others could read is refused', async (t) => {
  for (const name of ['ca.key', 'server.pem']) {
    const paths = await freshPaths(t);
    await ensureServerCertificate({ paths, clock: systemClock });
    await chmod(join(paths.ca, name), 0o640);
    await assert.rejects(ensureServerCertificate({ paths, clock: systemClock }), { code: 'CA_KEY_UNUSABLE' });
  }
});

test('[T6] the same certificate is shown until two thirds of its life have passed, then a new one of the same CA', async (t) => {
  const paths = await freshPaths(t);
  const first = await ensureServerCertificate({ paths, clock: daysFromNow(0) });
  assert.deepEqual(await ensureServerCertificate({ paths, clock: daysFromNow(59.9) }), first);
  const renewed = await ensureServerCertificate({ paths, clock: daysFromNow(60.1) });
  assert.notEqual(renewed.certificate, first.certificate);
  assert.notEqual(renewed.privateKey, first.privateKey);
  assert.equal(renewed.caCertificate, first.caCertificate);
  assert.deepEqual(await ensureServerCertificate({ paths, clock: daysFromNow(61) }), renewed);
});

test('[T6] the CA certificate is renewed under its own key: clients that kept the old one still connect', async (t) => {
  const paths = await freshPaths(t);
  const old = await ensureServerCertificate({ paths, clock: daysFromNow(-1300) });
  const shown = await ensureServerCertificate({ paths, clock: systemClock });
  assert.notEqual(shown.caCertificate, old.caCertificate);
  const keyOf = (pem: string) => createPublicKey(pem).export({ type: 'spki', format: 'pem' });
  assert.equal(keyOf(shown.caCertificate), keyOf(old.caCertificate));
  for (const ca of [old.caCertificate, shown.caCertificate]) {
    assert.equal(await handshake(shown, { ca, ...asked('localhost') }), 'TLSv1.3');
  }
});

test('[T6] other hosts, more hosts and fewer hosts each get a certificate of their own', async (t) => {
  const paths = await freshPaths(t);
  const seen = new Set<string>();
  for (const hosts of [['localhost'], ['keyward.example', '10.0.0.7'], ['keyward.example'], ['localhost', '::1']]) {
    const shown = await ensureServerCertificate({ paths, clock: systemClock, hosts });
    seen.add(shown.certificate);
    assert.deepEqual(await ensureServerCertificate({ paths, clock: systemClock, hosts }), shown);
    assert.equal(new X509Certificate(shown.certificate).subjectAltName?.split(', ').length, hosts.length);
    for (const host of hosts) assert.ok(await handshake(shown, { ca: shown.caCertificate, ...asked(host) }), host);
  }
  assert.equal(seen.size, 4);
});

test('[T6] a host that is no DNS name or IP address is refused', async (t) => {
  const paths = await freshPaths(t);
  for (const hosts of [
    [],
    [''],
    ['*.example'],
    ['https://localhost'],
    ['localhost:8443'],
    ['a, DNS:b'],
    ['-a'],
    ['a'.repeat(64)],
  ]) {
    await assert.rejects(ensureServerCertificate({ paths, clock: systemClock, hosts }), { code: 'CA_HOST_INVALID' });
  }
});

test('[T6] a server certificate of another CA, or a file that is none, is replaced', async (t) => {
  const [paths, elsewhere] = [await freshPaths(t), await freshPaths(t)];
  const first = await ensureServerCertificate({ paths, clock: systemClock });
  const foreign = await ensureServerCertificate({ paths: elsewhere, clock: systemClock });
  const contents = [
    foreign.privateKey + foreign.certificate,
    foreign.privateKey + first.certificate,
    first.certificate,
    'x',
    '',
  ];
  for (const content of contents) {
    await writeFile(join(paths.ca, 'server.pem'), content);
    const shown = await ensureServerCertificate({ paths, clock: systemClock });
    assert.equal(await handshake(shown, { ca: first.caCertificate, ...asked('localhost') }), 'TLSv1.3');
  }
});

test('[T6] a CA certificate that was lost or exchanged is made again for the key that is there', async (t) => {
  const paths = await freshPaths(t);
  const first = await ensureServerCertificate({ paths, clock: systemClock });
  const foreign = await ensureServerCertificate({ paths: await freshPaths(t), clock: systemClock });
  for (const content of [foreign.caCertificate, first.certificate, 'x', '']) {
    await writeFile(paths.caCertificate, content);
    const shown = await ensureServerCertificate({ paths, clock: systemClock });
    assert.equal(shown.certificate, first.certificate);
    assert.equal(await readFile(paths.caCertificate, 'utf8'), shown.caCertificate);
    assert.equal(await handshake(shown, { ca: shown.caCertificate, ...asked('localhost') }), 'TLSv1.3');
  }
});

test('[T6] a CA key that cannot be read as one is refused, never silently replaced', async (t) => {
  const paths = await freshPaths(t);
  await ensureServerCertificate({ paths, clock: systemClock });
  await writeFile(join(paths.ca, 'ca.key'), 'x');
  await assert.rejects(ensureServerCertificate({ paths, clock: systemClock }), { code: 'CA_KEY_UNUSABLE' });
  assert.equal(await readFile(join(paths.ca, 'ca.key'), 'utf8'), 'x');
});

test('[T6] several processes that start at once end with one CA, and leave no drafts behind', async (t) => {
  const paths = await freshPaths(t);
  const all = await Promise.all(
    Array.from({ length: 5 }, () => ensureServerCertificate({ paths, clock: systemClock })),
  );
  const ca = await readFile(paths.caCertificate, 'utf8');
  for (const shown of all) assert.equal(await handshake(shown, { ca, ...asked('localhost') }), 'TLSv1.3');
  assert.deepEqual((await readdir(paths.ca)).sort(), ['ca.key', 'server.pem']);
});

test('[T4] each process has a certificate of its own that says nothing but its name, in a folder with the CA', async (t) => {
  const paths = await freshPaths(t);
  const ensure = (tenant: string, clock: Clock = systemClock) =>
    ensureCustodianCertificates({ paths, clock, tenant, clients: ['gateway', 'store'] });
  const read = (name: string) => readFile(join(paths.clientCertificates, name), 'utf8');
  await ensure('clinic');
  assert.deepEqual((await readdir(paths.clientCertificates)).sort(), ['ca.pem', 'gateway.pem', 'store.pem']);
  const [gateway, store] = [await read('gateway.pem'), await read('store.pem')];
  const certificate = new X509Certificate(gateway);
  assert.equal(certificate.subjectAltName, 'URI:spiffe://keyward/clinic/gateway');
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.ok(certificate.checkPrivateKey(createPrivateKey(gateway)));
  assert.ok(certificate.verify(new X509Certificate(await read('ca.pem')).publicKey));
  assert.equal(new X509Certificate(store).subjectAltName, 'URI:spiffe://keyward/clinic/store');
  assert.equal((await stat(join(paths.clientCertificates, 'gateway.pem'))).mode & 0o777, 0o600);

  await ensure('clinic');
  assert.equal(await read('gateway.pem'), gateway);
  await ensure('clinic', daysFromNow(61));
  assert.notEqual(await read('gateway.pem'), gateway);
  await ensure('another-clinic');
  assert.equal(
    new X509Certificate(await read('gateway.pem')).subjectAltName,
    'URI:spiffe://keyward/another-clinic/gateway',
  );
});
