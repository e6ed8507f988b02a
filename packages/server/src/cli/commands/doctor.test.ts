import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { dataPaths, ERRORS, KeywardError } from '../../core/index.ts';
import { type CheckResult, CHECKS, type DoctorInputs, runChecks } from '../doctor/checks.ts';
import { writeInstance } from '../instance.ts';
import { openWorld, type World } from '../testing.ts';

async function check(world: World, name: string): Promise<CheckResult & { status: number }> {
  const { out, status } = await world.keyward('doctor', '--json');
  const found = (JSON.parse(out) as CheckResult[]).find((result) => result.name === name);
  return { ...(found as CheckResult), status };
}

test('[S1] doctor works when nothing runs, and warns of the development root', async () => {
  await using world = await openWorld({ running: false });
  const { status, out, err } = await world.keyward('doctor');
  assert.deepEqual([status, err], [0, '']);
  assert.match(out, /^ok {4}runtime/m);
  assert.match(out, /^ok {4}PostgreSQL {6}postgres \(PostgreSQL\) 18\.4$/m);
  assert.match(out, /^ok {4}seal engine {5}typescript$/m);
  assert.match(out, /^warn {2}root key {8}local ab12 \(in software, can be copied\)\n +hint: .+HSM or KMS/m);
  assert.match(out, /^ok {4}instance {8}not running$/m);
});

test('[S3] doctor asks a running instance whether it is ready', async () => {
  await using world = await openWorld();
  const { level, finding } = await check(world, 'instance');
  assert.deepEqual([level, finding.startsWith('ready at https://localhost:')], ['ok', true]);
  assert.equal((await check(world, 'certificate')).level, 'ok');
});

test('[K10] key files that others can read are a failure', async () => {
  await using world = await openWorld({ running: false });
  const { rootKeyDir } = world.paths;
  mkdirSync(rootKeyDir, { mode: 0o700 });
  writeFileSync(join(rootKeyDir, 'root.key'), 'x', { mode: 0o600 });
  assert.equal((await check(world, 'key files')).level, 'ok');
  chmodSync(join(rootKeyDir, 'root.key'), 0o640);
  const { level, finding, status } = await check(world, 'key files');
  assert.deepEqual([level, finding, status], ['fail', 'others can read root/root.key', 1]);
});

test('[S1] a port that another program holds is a failure', async () => {
  await using world = await openWorld({ running: false });
  const other = createServer();
  await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const facts = { ...world.services.doctorFacts({ dataDir: '' }), gatewayPort: port };
  world.services = { ...world.services, doctorFacts: () => facts };
  const { level, finding, hint } = await check(world, 'ports');
  other.close();
  assert.deepEqual([level, finding], ['fail', `taken by another program: ${port}`]);
  assert.equal(hint, ERRORS.UP_PORT_TAKEN.hint);
});

test('[S1] the ports that the running instance holds are its own, whatever the configuration says now', async () => {
  await using world = await openWorld({ running: false });
  const urls = { gatewayUrl: 'https://localhost:9443', adminUrl: 'https://localhost:443' };
  writeInstance(world.paths, { pid: process.pid, ...urls, ready: true });
  const { level, finding } = await check(world, 'ports');
  assert.deepEqual([level, finding], ['ok', `9443 and 443 are held by the running instance (process ${process.pid})`]);
});

test('[S1] a data directory that cannot be made is a failure with the hint of the error table', async () => {
  await using world = await openWorld({ running: false });
  writeFileSync(join(world.directory, 'a-file'), '');
  const paths = dataPaths(join(world.directory, 'a-file', 'data'));
  const { level, hint } = await runCheck('data directory', { paths });
  assert.deepEqual([level, hint], ['fail', ERRORS.UP_DATA_DIR.hint]);
});

test('[S1] a check that throws is one failed check, and the others still run', async () => {
  await using world = await openWorld({ running: false });
  world.services = { ...world.services, postgresVersion: () => Promise.reject(new KeywardError('DB_BINARY')) };
  const { status, out, err } = await world.keyward('doctor');
  assert.equal(status, 1);
  assert.match(out, /^FAIL {2}PostgreSQL {6}DB_BINARY [^\n]+\n +hint: /m);
  assert.match(out, /^ok {4}instance/m);
  assert.match(err, /^error: CLI_CHECK_FAILED /);
});

/** One check by itself, with what it asks of. */
async function runCheck(name: string, inputs: Pick<DoctorInputs, 'paths'> & Partial<DoctorInputs>) {
  const unused = () => assert.fail('not asked by this check');
  const sources = { facts: unused, describeRoot: unused, postgresVersion: unused, sealEngine: unused };
  const checks = CHECKS.filter((candidate) => candidate.name === name);
  const [result] = await runChecks(checks, {
    now: new Date(),
    runtimeVersion: '',
    instance: undefined,
    ...sources,
    ...inputs,
  });
  return result ?? assert.fail(`there is no check ${name}`);
}

const MS_PER_DAY = 86_400_000;

for (const kind of ['ca.pem', 'ca/server.pem']) {
  test(`[T6] when ${kind} ends soon it is a warning, when it ended a failure that names it`, async () => {
    await using world = await openWorld();
    const { paths } = world;
    if (kind === 'ca.pem') rmSync(join(paths.ca, 'server.pem'));
    const end = new X509Certificate(readFileSync(join(paths.root, kind))).validToDate;
    const before = (days: number) =>
      runCheck('certificate', { paths, now: new Date(end.getTime() - days * MS_PER_DAY) });
    assert.equal((await before(31)).level, 'ok');
    const soon = await before(29);
    assert.deepEqual([soon.level, soon.hint !== undefined], ['warn', true]);
    const ended = await before(-0.1);
    assert.equal(ended.level, 'fail');
    const day = end.toISOString().slice(0, 10);
    assert.ok(ended.finding.includes(`${kind} ended ${day}`), ended.finding);
  });
}

test('[T6] a server certificate that is none is a failure, and nothing of its private key is told', async () => {
  await using world = await openWorld();
  const file = join(world.paths.ca, 'server.pem');
  const [privateKey = ''] = readFileSync(file, 'utf8').split('-----BEGIN CERTIFICATE-----');
  writeFileSync(file, `${privateKey}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`);
  const found = await runCheck('certificate', { paths: world.paths });
  assert.deepEqual([found.level, /ca\/server\.pem holds no certificate/.test(found.finding)], ['fail', true]);
  assert.ok(!JSON.stringify(found).includes(privateKey.split('\n')[1] ?? 'PRIVATE'));
});
