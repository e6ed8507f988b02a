import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS, KeywardError } from '../core/index.ts';
import type { CommonOptions, UpOptions } from './context.ts';
import { readyScreen } from './ready-screen.ts';
import { openWorld } from './testing.ts';

const VERBS = ['up', 'token', 'demo load', 'demo reveal', 'config explain', 'doctor', 'ledger tail'];

for (const verb of VERBS) {
  test(`[S1] keyward ${verb} --help has an example and the common options`, async () => {
    await using world = await openWorld({ running: false });
    const { status, out } = await world.keyward(...verb.split(' '), '--help');
    assert.equal(status, 0);
    assert.match(out, new RegExp(`Example:\n  \\$ keyward ${verb}`));
    for (const option of ['--data-dir', '--config', '--json']) assert.match(out, new RegExp(option));
  });
}

const MISUSES = [
  { args: ['token', '--role', 'clinician', '--rolle', 'x'], detail: /unknown option '--rolle'/ },
  { args: ['token'], detail: /required option '--role <role>' not specified/ },
  { args: ['token', '--role', 'superuser'], detail: /Allowed choices are clinician/ },
  { args: ['token', '--role', 'clinician', '--ttl', '5'], detail: /such as 90s, 5m or 1h/ },
  { args: ['token', '--role', 'clinician', '--ttl', '0m'], detail: /such as 90s, 5m or 1h/ },
  { args: ['token', '--role', 'patient', '--patient', '../Claim'], detail: /An id has/ },
  { args: ['up', '--gateway-port', '65536'], detail: /whole number from 1 to 65535/ },
  { args: ['up', '--admin-port', '0'], detail: /whole number from 1 to 65535/ },
  { args: ['ledger', 'tail', '--limit', '0'], detail: /whole number from 1 to 1000/ },
  { args: ['doctor', 'now'], detail: /too many arguments/ },
  { args: ['encrypt'], detail: /unknown/ },
  { args: ['ledger'], detail: /./ },
];

for (const { args, detail } of MISUSES) {
  test(`[S1] keyward ${args.join(' ')} is refused with status 2, one error and one hint`, async () => {
    await using world = await openWorld({ running: false });
    const { status, out, err } = await world.keyward(...args);
    assert.equal(status, 2);
    assert.equal(out, '');
    assert.match(err, /^error: CLI_USAGE [^\n]+\nhint: [^\n]+\n$/);
    assert.match(err, detail);
  });
}

test('[S1] an error with --json is one problem document', async () => {
  await using world = await openWorld({ running: false });
  const { status, err } = await world.keyward('ledger', 'tail', '--json');
  const problem = JSON.parse(err) as Record<string, unknown>;
  assert.deepEqual([status, problem['code'], problem['status']], [3, 'CLI_NOT_READY', 503]);
});

test('[P2] what a programming error says is not shown', async () => {
  await using world = await openWorld({ running: false });
  world.services = { ...world.services, up: () => Promise.reject(new TypeError('Testerby is not iterable')) };
  const { status, err } = await world.keyward('up');
  assert.equal(status, 1);
  assert.match(err, /^error: CORE_INTERNAL [^\n]+\nhint: [^\n]+\n$/);
  assert.doesNotMatch(err, /Testerby|\bat /);
});

test('[S1] up hands its options on, and its error decides the exit status', async () => {
  await using world = await openWorld({ running: false });
  let seen: UpOptions | undefined;
  world.services = {
    ...world.services,
    async up(options) {
      seen = options;
      throw new KeywardError('UP_PORT_TAKEN', { detail: 'Port 9443.' });
    },
  };
  const { status, err } = await world.keyward(
    'up',
    '--gateway-port',
    '9443',
    '--admin-port',
    '9444',
    '--config',
    'k.yaml',
  );
  assert.deepEqual(seen, { gatewayPort: 9443, adminPort: 9444, config: 'k.yaml', dataDir: world.directory });
  assert.equal(status, 3);
  assert.match(err, /^error: UP_PORT_TAKEN A port that Keyward needs is taken\. \(Port 9443\.\)\nhint: /);
});

test('[S1] a process is a verb: it is told where its instance is, and its error decides the exit status', async () => {
  await using world = await openWorld({ running: false });
  const seen: CommonOptions[] = [];
  const run = async (options: CommonOptions) => {
    seen.push(options);
    if (seen.length > 1) throw new KeywardError('DB_UNAVAILABLE');
  };
  world.services = { ...world.services, processes: [{ name: 'gateway', description: 'Seal.', run }] };
  assert.equal((await world.keyward('gateway', '--config', 'k.yaml')).status, 0);
  assert.deepEqual(seen, [{ config: 'k.yaml', dataDir: world.directory }]);
  const { status, err } = await world.keyward('gateway');
  assert.equal(status, 4);
  assert.match(err, /^error: DB_UNAVAILABLE [^\n]+\nhint: [^\n]+\n$/);
  const { out } = await world.keyward('--help');
  assert.match(out, /\nRun one process by itself:\n {2}gateway \[options\] +Seal\.\n/);
});

test('[A1] token prints a JWT with the claims of the role', async () => {
  await using world = await openWorld();
  const { out } = await world.keyward('token', '--role', 'billing');
  assert.match(out, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const claims = decodeJwt(out.trim());
  assert.deepEqual(
    [claims.sub, claims['role'], claims['scope'], claims['purpose_of_use'], (claims.exp ?? 0) - (claims.iat ?? 0)],
    ['dev-billing', 'billing', 'user/*.cruds', 'HPAYMT', 300],
  );
});

test('[A2] token --no-mfa does not claim a second factor; every claim can be chosen', async () => {
  await using world = await openWorld();
  const options = [
    '--sub',
    'p-1',
    '--patient',
    'abc',
    '--scope',
    'patient/*.r',
    '--purpose',
    'PATRQT',
    '--ttl',
    '1h',
    '--no-mfa',
  ];
  const { out } = await world.keyward('token', '--role', 'patient', ...options, '--json');
  const answer = JSON.parse(out) as { token: string; role: string; expiresInSeconds: number };
  const claims = decodeJwt(answer.token);
  assert.deepEqual([answer.role, answer.expiresInSeconds], ['patient', 3600]);
  assert.deepEqual([claims.sub, claims['patient'], claims['scope']], ['p-1', 'abc', 'patient/*.r']);
  assert.deepEqual(claims['amr'], ['pwd']);
});

test('[A1] where Keyward never ran, or without a development issuer, there is no token', async () => {
  await using world = await openWorld({ running: false });
  const { status, out, err } = await world.keyward('token', '--role', 'admin');
  assert.deepEqual([status, out], [3, '']);
  assert.match(err, /^error: CLI_NOT_READY [^\n]*there is no [^\n]*secrets\)\nhint: .*--data-dir/);
  mkdirSync(world.paths.secrets);
  assert.match((await world.keyward('token', '--role', 'admin')).err, /^error: CLI_NO_DEV_ISSUER /);
});

const ROWS = [
  {
    key: 'gateway.port',
    value: 8443,
    source: 'default',
    env: 'KEYWARD_GATEWAY_PORT',
    description: 'Port of the gateway.',
    secret: false,
  },
  {
    key: 'db.password',
    value: '(secret)',
    source: 'env',
    env: 'KEYWARD_DB_PASSWORD',
    description: 'Password.',
    secret: true,
  },
];

test('[K13] config explain shows where settings come from, as the configuration tells them', async () => {
  await using world = await openWorld({ running: false });
  world.services = { ...world.services, explainConfig: () => ROWS };
  const { out } = await world.keyward('config', 'explain');
  assert.match(out, /^gateway\.port {2}8443 {2}\[default\]\n {14}Port of the gateway\.\n {14}KEYWARD_GATEWAY_PORT\n/);
  assert.match(out, /^db\.password {3}\(secret\) {2}\[env\]$/m);
  const asJson = await world.keyward('config', 'explain', '--json');
  assert.deepEqual(JSON.parse(asJson.out), ROWS);
});

/** Code → what its hint must say wherever it is shown, and what would send the reader in a circle. */
const HINTS = [
  { code: 'CONFIG_INVALID', says: /keys named/, not: /config explain/ },
  { code: 'DB_BINARY', says: /what is named/, not: /^Run "keyward doctor"/ },
  { code: 'UP_DATA_DIR', says: /writable.+disk space.+restore/, not: /^Choose/ },
  { code: 'CLI_REQUEST_FAILED', says: /errors\.md/, not: /lines above/ },
] as const;

for (const { code, says, not } of HINTS) {
  test(`[S1] the hint of ${code} fits every verb that shows it`, () => {
    assert.match(ERRORS[code].hint, says);
    assert.doesNotMatch(ERRORS[code].hint, not);
  });
}

test('[S1] the ready screen starts with the line that programs wait for', () => {
  const output = { write: () => undefined, isTty: false, columns: 100 };
  const urls = { gatewayUrl: 'https://localhost:8443', adminUrl: 'https://localhost:8444' };
  const [first, ...rest] = readyScreen({ ...urls, dataDir: './.keyward' }, output).split('\n');
  assert.equal(first, 'keyward is ready  gateway https://localhost:8443/fhir  admin https://localhost:8444');
  assert.doesNotMatch(rest.join('\n'), /--data-dir/);
  const elsewhere = readyScreen({ ...urls, dataDir: "/srv/it's here" }, output);
  assert.match(elsewhere, /npx keyward demo load --data-dir '\/srv\/it'\\''s here'/);
});
