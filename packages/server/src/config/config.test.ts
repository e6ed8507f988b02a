import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { dataPaths, KeywardError } from '../core/index.ts';
import { configKeys } from './keys.ts';
import { configJsonSchema, explainConfig, loadConfig, readOrCreateSecret } from './index.ts';

function inTemporaryFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-config-'));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const refusal = (work: () => unknown): string => {
  try {
    work();
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof KeywardError);
    return error.message;
  }
};

test('[S1] without file, variables and flags the defaults hold', () => {
  const { config } = loadConfig({ env: {} });
  assert.equal(config.gateway.port, 8443);
  assert.equal(config.gateway.host, '127.0.0.1');
  assert.deepEqual(config.identity.issuers, []);
});

test('[S1] a flag wins over a variable, a variable over the file, and each value tells its source', () => {
  inTemporaryFolder((folder) => {
    const file = join(folder, 'keyward.yaml');
    writeFileSync(file, 'gateway: { port: 1000, host: 127.0.0.2 }\nadmin: { port: 1001 }\n');
    const loaded = loadConfig({
      file,
      env: { KEYWARD_GATEWAY_PORT: '2000', KEYWARD_ADMIN_PORT: '2001' },
      flags: { 'gateway.port': 3000 },
    });
    const row = (key: string) => explainConfig(loaded).find((candidate) => candidate.key === key);
    assert.deepEqual([row('gateway.port')?.value, row('gateway.port')?.source], [3000, 'flag']);
    assert.deepEqual([row('admin.port')?.value, row('admin.port')?.source], [2001, 'env']);
    assert.deepEqual([row('gateway.host')?.value, row('gateway.host')?.source], ['127.0.0.2', 'file']);
    assert.equal(row('tenant')?.source, 'default');
  });
});

test('[S1] unknown keys and variables are errors that name the key and no value', () => {
  inTemporaryFolder((folder) => {
    const file = join(folder, 'keyward.yaml');
    writeFileSync(file, 'gateway: { prot: 77177 }\n');
    assert.match(
      refusal(() => loadConfig({ file, env: {} })),
      /^CONFIG_INVALID: unknown key gateway\.prot$/,
    );
    assert.match(
      refusal(() => loadConfig({ env: { KEYWARD_GATEWAY_PROT: '77177' } })),
      /^CONFIG_INVALID: .*KEYWARD_GATEWAY_PROT/,
    );
    writeFileSync(file, 'gateway: { port: 77177 }\n');
    assert.doesNotMatch(
      refusal(() => loadConfig({ file, env: {} })),
      /77177/,
    );
  });
});

test('[S1] a file that is missing, no mapping or no YAML is refused', () => {
  inTemporaryFolder((folder) => {
    const file = join(folder, 'keyward.yaml');
    assert.equal(
      refusal(() => loadConfig({ file, env: {} })),
      'CONFIG_UNREADABLE',
    );
    for (const text of ['- a\n', 'a: [\n', 'a: 1\na: 2\n', 'text\n']) {
      writeFileSync(file, text);
      assert.match(
        refusal(() => loadConfig({ file, env: {} })),
        /^CONFIG_INVALID/,
      );
    }
  });
});

test('[K13] an upstream address with credentials or a query is refused, and not repeated', () => {
  const load = (url: string) => () => loadConfig({ env: {}, flags: { 'gateway.upstreamUrl': url } });
  assert.equal(refusal(load('https://fhir.example.org/r4')), 'accepted');
  for (const url of [
    'https://u:hunter2@fhir.example.org',
    'https://fhir.example.org/?x=hunter2',
    'https://fhir.example.org/#hunter2',
  ]) {
    assert.match(refusal(load(url)), /^CONFIG_INVALID: gateway\.upstreamUrl/);
    assert.doesNotMatch(refusal(load(url)), /hunter2/);
  }
});

test('[S1] a variable that is no YAML and a scalar where a mapping belongs are named', () => {
  assert.match(
    refusal(() => loadConfig({ env: { KEYWARD_IDENTITY_ISSUERS: '[{' } })),
    /^CONFIG_INVALID: .*KEYWARD_IDENTITY_ISSUERS/,
  );
  inTemporaryFolder((folder) => {
    const file = join(folder, 'keyward.yaml');
    writeFileSync(file, 'gateway: 5\n');
    const load = () => loadConfig({ file, env: {}, flags: { 'gateway.port': 1 } });
    assert.match(refusal(load), /^CONFIG_INVALID: gateway is no mapping/);
  });
});

test('[A1] no setting switches on an unsigned or symmetric token algorithm, nor keys over plain HTTP', () => {
  const issuer = { issuer: 'https://id.example.org', jwksUrl: 'https://id.example.org/keys', algorithms: ['ES256'] };
  const load = (change: object) => () =>
    loadConfig({ env: {}, flags: { 'identity.issuers': [{ ...issuer, ...change }] } });
  assert.equal(refusal(load({})), 'accepted');
  for (const algorithm of ['none', 'HS256'])
    assert.match(refusal(load({ algorithms: [algorithm] })), /^CONFIG_INVALID/);
  assert.match(refusal(load({ jwksUrl: 'http://id.example.org/keys' })), /^CONFIG_INVALID/);
});

test('[S1] every key has a description, a variable of its own, and a place in the JSON Schema', () => {
  const keys = configKeys();
  assert.equal(new Set(keys.map((key) => key.env)).size, keys.length);
  const schema = JSON.stringify(configJsonSchema());
  for (const key of keys) {
    assert.ok(key.description, key.path);
    assert.ok(schema.includes(`"${key.path.split('.').at(-1)}"`), key.path);
  }
});

test('[K10] a process credential is made once, 256 bits, readable by its owner only', () => {
  inTemporaryFolder((folder) => {
    const paths = dataPaths(folder);
    const secret = readOrCreateSecret(paths, 'db-store');
    assert.equal(Buffer.from(secret, 'base64url').length, 32);
    assert.equal(readOrCreateSecret(paths, 'db-store'), secret);
    assert.notEqual(readOrCreateSecret(paths, 'db-custodian'), secret);
    assert.equal(statSync(join(paths.secrets, 'db-store')).mode & 0o777, 0o600);
    assert.equal(statSync(paths.secrets).mode & 0o777, 0o700);
  });
});
