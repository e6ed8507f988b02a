/** The envelope `kwr1`: a known answer, and what must not open. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { createDataKey } from '@keyward/sdk/seal';
import { envelopeRoot, type RootCipher } from './envelope.ts';

const PLAINTEXT = Buffer.alloc(32, 0x4b);
const AAD = Buffer.from('tenant/1');
const TRANSIT = { provider: 'transit', key: 'transit/keyward', hardware: false, exportable: false } as const;

/** Made once by `envelopeRoot` over `mirror`, under the wrapping key 00 01 … 1f. */
const KNOWN =
  'a3dyMQd0cmFuc2l0AA90cmFuc2l0L2tleXdhcmQAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEAAXU/1XFuv+OnOm97Xrdn4so/o0fNL7g0/D7nAi6xR0wbY7VaY/vgnDEyHzSSPSCQTdYqIC/8xa+0WZCynghngyv5KEZUrisaMmyWHig=';

const mirrored = (bytes: Uint8Array): Buffer => Buffer.from(bytes.toReversed());

/** A provider that only turns bytes around and does not look at the context: the weakest there could be. */
const mirror = (contexts: Buffer[] = []): RootCipher => ({
  async encrypt(secret, context) {
    contexts.push(context);
    return mirrored(secret);
  },
  decrypt: async (ciphertext) => mirrored(ciphertext),
  describe: () => TRANSIT,
  close: async () => undefined,
});

const wrap = (cipher = mirror()) => envelopeRoot(cipher, () => createDataKey(Buffer.alloc(32, 7))).wrap(PLAINTEXT, AAD);

test('[K9] the envelope names provider and root key, then holds the encrypted wrapping key and the sealed bytes', async () => {
  const contexts: Buffer[] = [];
  const wrapped = await wrap(mirror(contexts));
  const header = ['6b777231', '07', '7472616e736974', '000f', '7472616e7369742f6b657977617264'].join('');
  assert.equal(wrapped.toString('hex').slice(0, header.length), header);
  assert.equal(wrapped.toString('hex', 29, 31 + 32), `0020${'07'.repeat(32)}`);
  assert.equal(wrapped.length, 29 + 2 + 32 + 77);
  const bound = Buffer.concat([Buffer.from('keyward/root/1'), Buffer.of(0, 29), Buffer.from(header, 'hex'), AAD]);
  assert.deepEqual(contexts, [createHash('sha256').update(bound).digest()]);
});

test('[K9] an envelope that was written down opens', async () => {
  assert.deepEqual(await envelopeRoot(mirror()).unwrap(Buffer.from(KNOWN, 'base64'), AAD), PLAINTEXT);
});

test('[K9] no bit of the envelope can change, nothing can be cut off or added, even where the provider checks nothing', async () => {
  const wrapped = await wrap();
  const root = envelopeRoot(mirror());
  for (let bit = 0; bit < wrapped.length * 8; bit += 1) {
    const altered = Buffer.from(wrapped);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    await assert.rejects(
      root.unwrap(altered, AAD),
      /KEYS_(NOT_AUTHENTIC|ROOT_MISMATCH|ROOT_WRONG_ANSWER)/,
      `bit ${bit}`,
    );
  }
  for (let size = 0; size < wrapped.length; size += 1)
    await assert.rejects(root.unwrap(wrapped.subarray(0, size), AAD), { code: 'KEYS_NOT_AUTHENTIC' });
  await assert.rejects(root.unwrap(Buffer.concat([wrapped, Buffer.of(0)]), AAD), { code: 'KEYS_NOT_AUTHENTIC' });
  await assert.rejects(root.unwrap(wrapped, Buffer.from('tenant/2')), { code: 'KEYS_NOT_AUTHENTIC' });
});

const OTHERS = {
  'another key': { ...TRANSIT, key: 'transit/other' },
  'another provider': { ...TRANSIT, provider: 'pkcs11' },
} as const;

for (const [what, description] of Object.entries(OTHERS)) {
  test(`[K9] an envelope of ${what} is told without asking the provider`, async () => {
    const asked = () => Promise.reject(new Error('asked'));
    const root = envelopeRoot({ ...mirror(), decrypt: asked, describe: () => description });
    await assert.rejects(root.unwrap(await wrap(), AAD), { code: 'KEYS_ROOT_MISMATCH' });
  });
}

test('[K9] a provider that answers another wrapping key, or one of another length, is not believed', async () => {
  const answering = (bytes: Buffer) => envelopeRoot({ ...mirror(), decrypt: async () => bytes });
  await assert.rejects(answering(Buffer.alloc(32, 8)).unwrap(await wrap(), AAD), { code: 'KEYS_NOT_AUTHENTIC' });
  for (const size of [0, 31, 33]) {
    const bytes = Buffer.alloc(size, 7);
    await assert.rejects(answering(bytes).unwrap(await wrap(), AAD), { code: 'KEYS_ROOT_WRONG_ANSWER' });
    assert.deepEqual(bytes, Buffer.alloc(size));
  }
});
