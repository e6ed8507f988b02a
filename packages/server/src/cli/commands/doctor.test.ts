import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { KeywardError } from '../../core/index.ts';
import { type CheckResult, CHECKS, runChecks } from '../doctor/checks.ts';
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
  assert.match(out, /^warn {2}root key {8}the development root .+\n +hint: .+HSM or KMS/m);
  assert.match(out, /^ok {4}instance {8}not running$/m);
});

test('[S3] doctor asks a running instance whether it is ready', async () => {
  await using world = await openWorld();
  const { level, finding } = await check(world, 'instance');
  assert.deepEqual([level, finding.startsWith('ready at https://localhost:')], ['ok', true]);
  assert.equal((await check(world, 'certificate')).level, 'ok');
  assert.match((await check(world, 'ports')).finding, /^held by the running instance/);
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
  world.services = { ...world.services, doctorFacts: () => ({ gatewayPort: port, adminPort: 0 }) };
  const { level, finding } = await check(world, 'ports');
  other.close();
  assert.deepEqual([level, finding], ['fail', `taken by another program: ${port}`]);
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

test('[T6] a CA certificate that ends soon is a warning, one that ended a failure', async () => {
  await using world = await openWorld();
  const levelAt = async (now: Date) => {
    const checks = CHECKS.filter(({ name }) => name === 'certificate');
    const unused = () => assert.fail('not asked by this check');
    const inputs = {
      paths: world.paths,
      now,
      runtimeVersion: '',
      instance: undefined,
      facts: unused,
      postgresVersion: unused,
      sealEngine: unused,
    };
    return (await runChecks(checks, inputs))[0]?.level;
  };
  const endsAtMs = new X509Certificate(readFileSync(world.paths.caCertificate)).validToDate.getTime();
  const daysBeforeEnd = (count: number) => new Date(endsAtMs - count * 86_400_000);
  assert.equal(await levelAt(daysBeforeEnd(31)), 'ok');
  assert.equal(await levelAt(daysBeforeEnd(29)), 'warn');
  assert.equal(await levelAt(daysBeforeEnd(-2)), 'fail');
});
