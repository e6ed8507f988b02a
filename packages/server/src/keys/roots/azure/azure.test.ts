/** The Azure root on a fake of Key Vault: the conformance of all roots, and what is special about vaults. */
import assert from 'node:assert/strict';
import { createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createDataKey, sealBytes } from '@keyward/sdk/seal';
import { testLog } from '../../testing.ts';
import { startDoor } from '../cloud/testing.ts';
import { testRootConformance } from '../conformance.ts';
import { RESILIENCE } from '../resilience.ts';
import { resilient } from '../resilient.ts';
import type { Root } from '../root.ts';
import { startLine } from '../testing.ts';
import { azureKeyVaultRoot } from './azure.ts';
import { type FakeKeyVault, startFakeKeyVault } from './fake-key-vault.ts';

const AAD = Buffer.from('tenant-a/1');
const TOKEN = randomBytes(30).toString('base64url');
const HOUR_MS = 3_600_000;

/** The fake speaks plain HTTP on this machine, and calls itself a vault of another domain. */
const SEAMS = {
  credential: { getToken: async () => ({ token: TOKEN, expiresOnTimestamp: Date.now() + HOUR_MS }) },
  client: { allowInsecureConnection: true, disableChallengeResourceVerification: true },
};

let vault: FakeKeyVault;
before(async () => {
  vault = await startFakeKeyVault(TOKEN);
});
after(() => vault.close());

interface Paths {
  readonly key: string;
  readonly signingKey?: string;
}

function openAt(port: number, { key, signingKey }: Paths): Promise<Root> {
  const idOf = (path: string) => `http://127.0.0.1:${port}${path}`;
  const signing = signingKey === undefined ? {} : { signingKey: idOf(signingKey) };
  return azureKeyVaultRoot.open({ provider: 'azure-key-vault', key: idOf(key), ...signing }, undefined, SEAMS);
}

const rsaPaths = (): Paths => ({ key: vault.create('rsa'), signingKey: vault.create('ec') });

// biome-ignore format: a table
const KINDS = [
  { name: 'azure-key-vault (RSA)',              paths: rsaPaths,                                                                  hardware: false },
  { name: 'azure-key-vault (RSA-HSM)',          paths: () => ({ key: vault.create('rsaHsm'), signingKey: vault.create('ec') }),   hardware: true },
  { name: 'azure-key-vault (Managed HSM, AES)', paths: () => ({ key: vault.create('oct') }),                                      hardware: true },
];

for (const { name, paths, hardware } of KINDS)
  testRootConformance(name, {
    async open(context) {
      const line = await startLine(vault.port);
      context.after(() => line.close());
      const mine = paths();
      const root = await openAt(line.port, mine);
      const setEnabled = async (enabled: boolean) => void (vault.attributesOf(mine.key).enabled = enabled);
      return {
        root,
        reopen: () => openAt(line.port, mine),
        expected: { provider: 'azure-key-vault', hardware, exportable: false },
        credentials: [TOKEN],
        line,
        key: { disable: () => setEnabled(false), enable: () => setEnabled(true) },
      };
    },
  });

test('[K9] azure-key-vault: an RSA key without a signing key is refused, and with it one that cannot sign', async () => {
  const key = vault.create('rsa');
  for (const paths of [{ key }, { key, signingKey: vault.create('ec384') }, { key, signingKey: key }])
    await assert.rejects(openAt(vault.port, paths), { code: 'KEYS_ROOT_UNUSABLE' });
});

test('[K9] azure-key-vault: a key of 2048 bits, or for signatures, is refused', async () => {
  for (const kind of ['rsa2048', 'ec'] as const) {
    const paths = { key: vault.create(kind), signingKey: vault.create('ec') };
    await assert.rejects(openAt(vault.port, paths), { code: 'KEYS_ROOT_UNUSABLE' });
  }
});

test('[K9] azure-key-vault: a key that can be exported is told as such', async () => {
  const paths = { key: vault.create('rsa', { exportable: true }), signingKey: vault.create('ec') };
  assert.equal((await openAt(vault.port, paths)).describe().exportable, true);
});

test('[K1] azure-key-vault: an expired key unwraps and does not wrap; one before its time does neither', async () => {
  const paths = rsaPaths();
  const root = await openAt(vault.port, paths);
  const plaintext = randomBytes(32);
  const wrapped = await root.wrap(plaintext, AAD);
  const seconds = (offset: number) => Math.floor(Date.now() / 1000) + offset;
  vault.attributesOf(paths.key).exp = seconds(-60);
  await assert.rejects(root.wrap(plaintext, AAD), {
    code: 'KEYS_ROOT_REFUSED',
    detail: 'The key in the vault has expired.',
  });
  for (const opened of [root, await openAt(vault.port, paths)])
    assert.deepEqual(await opened.unwrap(wrapped, AAD), plaintext);
  vault.attributesOf(paths.key).nbf = seconds(60);
  await assert.rejects(root.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_REFUSED' });
});

test('[K9] azure-key-vault: with its signing key disabled, nothing wraps nor unwraps', async () => {
  const paths = rsaPaths();
  const root = await openAt(vault.port, paths);
  const wrapped = await root.wrap(randomBytes(32), AAD);
  vault.attributesOf(paths.signingKey as string).enabled = false;
  await assert.rejects(root.wrap(randomBytes(32), AAD), { code: 'KEYS_ROOT_REFUSED' });
  await assert.rejects(root.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_REFUSED' });
});

/** The parts of an envelope (`envelope.ts`): its header, the encrypted wrapping key, what is sealed under that. */
function partsOf(wrapped: Buffer): { header: Buffer; encrypted: Buffer } {
  const keyAt = 5 + wrapped.readUInt8(4);
  const encryptedAt = keyAt + 2 + wrapped.readUInt16BE(keyAt);
  const header = wrapped.subarray(0, encryptedAt);
  return { header, encrypted: wrapped.subarray(encryptedAt + 2, encryptedAt + 2 + wrapped.readUInt16BE(encryptedAt)) };
}

const lengthOf = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return length;
};

test('[K3] azure-key-vault: whoever has the public key and the database cannot plant a KEK of his own', async () => {
  const paths = rsaPaths();
  const root = await openAt(vault.port, paths);
  const { header, encrypted } = partsOf(await root.wrap(randomBytes(32), AAD));
  const bundle = await fetch(`http://127.0.0.1:${vault.port}${paths.key}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const { key: jwk } = (await bundle.json()) as { key: { n: string; e: string } };
  const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: jwk.n, e: jwk.e } });
  const wrappingKey = randomBytes(32);
  const oaep = publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, wrappingKey);
  for (const signature of [encrypted.subarray(0, 64), randomBytes(64), Buffer.alloc(64)]) {
    const forged = Buffer.concat([signature, oaep]);
    const front = Buffer.concat([header, lengthOf(forged), forged]);
    const sealed = sealBytes(
      createDataKey(Buffer.from(wrappingKey)),
      Buffer.concat([lengthOf(front), front, AAD]),
      randomBytes(32),
    );
    await assert.rejects(root.unwrap(Buffer.concat([front, sealed]), AAD), { code: 'KEYS_NOT_AUTHENTIC' });
  }
});

interface Fault {
  readonly status: number;
  readonly error: string;
  readonly code: string;
}

// biome-ignore format: a table
const FAULTS: readonly Fault[] = [
  { status: 403, error: 'Forbidden',    code: 'KEYS_ROOT_REFUSED' },
  { status: 404, error: 'KeyNotFound',  code: 'KEYS_ROOT_REFUSED' },
  { status: 400, error: 'NotKnownToUs', code: 'KEYS_ROOT_REFUSED' },
  { status: 429, error: 'Throttled',    code: 'KEYS_ROOT_UNAVAILABLE' },
  { status: 503, error: 'NotKnownToUs', code: 'KEYS_ROOT_UNAVAILABLE' },
];

test('[K9] azure-key-vault: each refusal of the vault is told from an outage, without its text', async () => {
  const paths = rsaPaths();
  const root = await openAt(vault.port, paths);
  const wrapped = await root.wrap(randomBytes(32), AAD);
  for (const { status, error, code } of FAULTS) {
    vault.answers.set(paths.key, { status, body: { error: { code: error, message: 'said to somebody' } } });
    await assert.rejects(root.unwrap(wrapped, AAD), (thrown: Error & { code?: string }) => {
      assert.equal(thrown.code, code, `${status} ${error}`);
      return !String((thrown.cause as Error).stack).includes('somebody');
    });
  }
});

test('[K9] azure-key-vault: an answer about another key is refused', async () => {
  const [paths, other] = [rsaPaths(), vault.create('rsa')];
  const root = await openAt(vault.port, paths);
  const foreign = await fetch(`http://127.0.0.1:${vault.port}${other}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  vault.answers.set(paths.key, { status: 200, body: await foreign.json() });
  await assert.rejects(root.wrap(randomBytes(32), AAD), { code: 'KEYS_ROOT_WRONG_ANSWER' });
});

test('[K9] azure-key-vault: what the vault throttles is tried again after a pause', async (context) => {
  const door = await startDoor(vault.port);
  context.after(() => door.close());
  const root = resilient(await openAt(door.port, rsaPaths()), { log: testLog() }, { ...RESILIENCE, firstPauseMs: 1 });
  let throttled = 0;
  door.answer((target) => {
    if (!target.includes('wrapkey') || throttled === 2) return undefined;
    throttled += 1;
    return { status: 429, body: { error: { code: 'Throttled', message: '' } } };
  });
  const plaintext = randomBytes(32);
  assert.deepEqual(await root.unwrap(await root.wrap(plaintext, AAD), AAD), plaintext);
  assert.equal(throttled, 2);
});
