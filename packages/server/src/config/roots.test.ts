/** Settings of roots: each provider its own, and nothing of another one's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from './load.ts';
import { rootConfigSchema } from './roots.ts';

const TRANSIT = { provider: 'transit', address: 'https://bao.example.org:8200', key: 'keyward', token: { file: 't' } };
const PKCS11 = { provider: 'pkcs11', module: '/m.so', token: 'hsm', key: 'keyward', pin: { env: 'HSM_PIN' } };

test('[K9] without settings the root is the local one, and the environment can name another', () => {
  assert.deepEqual(loadConfig({ env: {} }).config.keys.root, { provider: 'local' });
  const { root } = loadConfig({ env: { KEYWARD_KEYS_ROOT: JSON.stringify(PKCS11) } }).config.keys;
  assert.deepEqual(root, { ...PKCS11, mechanism: 'aes-gcm' });
});

const REFUSED: Record<string, object> = {
  'an unknown provider': { provider: 'stone' },
  'a setting of another provider': { provider: 'local', pin: { file: 'p' } },
  'a secret in clear': { ...PKCS11, pin: '1234' },
  'an address in clear over a network': { ...TRANSIT, address: 'http://bao.example.org:8200' },
  'an address with credentials': { ...TRANSIT, address: 'https://root:s3cret@bao.example.org' },
  'an address with a query': { ...TRANSIT, address: 'https://bao.example.org/?a=b' },
  'a key that is a path': { ...TRANSIT, key: '../sys/policy' },
  'a mount that is a path upwards': { ...TRANSIT, mount: 'transit/../sys' },
};

for (const [what, settings] of Object.entries(REFUSED)) {
  test(`[K9] settings of a root with ${what} are refused`, () => {
    assert.equal(rootConfigSchema.safeParse(settings).success, false);
  });
}

test('[K9] an address of this machine may be in clear', () => {
  for (const host of ['127.0.0.1', 'localhost', '[::1]'])
    assert.ok(rootConfigSchema.safeParse({ ...TRANSIT, address: `http://${host}:8200` }).success);
});
