/** The local root: the conformance of all roots, and what is special about a key in a file. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { testDirectory } from '../../testing.ts';
import { testRootConformance } from '../conformance.ts';
import { createRootKey } from './key-file.ts';
import { localRoot } from './local.ts';

const AAD = Buffer.from('aad');
const newFile = (context: TestContext) => join(testDirectory(context), 'root', 'root.key');

testRootConformance('local', {
  async open(context) {
    const file = newFile(context);
    return {
      root: await localRoot.open({ file }),
      reopen: () => localRoot.open({ file }),
      expected: { provider: 'local', hardware: false, exportable: true },
    };
  },
});

test('[K10] the key file is made on first use, 32 bytes, for its owner only, and nothing else is left', async (context) => {
  const file = newFile(context);
  const root = await localRoot.open({ file });
  assert.throws(() => statSync(file), { code: 'ENOENT' });
  await root.wrap(Buffer.alloc(32), AAD);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(file).size, 32);
  assert.equal(statSync(dirname(file)).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dirname(file)), ['root.key']);
});

test('[K10] of two processes that make the key, the second gets the key of the first', (context) => {
  const file = newFile(context);
  const first = createRootKey(file);
  assert.equal(createRootKey(file).id, first.id);
});

test('[K8] a lost key file is not replaced when something is to be unwrapped', async (context) => {
  const file = newFile(context);
  const wrapped = await (await localRoot.open({ file })).wrap(Buffer.alloc(32), AAD);
  rmSync(file);
  const root = await localRoot.open({ file });
  await assert.rejects(root.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_UNREADABLE' });
  assert.deepEqual(readdirSync(dirname(file)), []);
});

const UNREADABLE: Record<string, (file: string) => void> = {
  'readable by its group': (file) => chmodSync(file, 0o640),
  'readable by everyone': (file) => chmodSync(file, 0o604),
  'a byte short': (file) => writeFileSync(file, Buffer.alloc(31)),
  'a byte long': (file) => writeFileSync(file, Buffer.alloc(33)),
  empty: (file) => writeFileSync(file, ''),
  'in a directory where others can write': (file) => chmodSync(dirname(file), 0o777),
  'a symbolic link': (file) => {
    linkSync(file, `${file}.real`);
    rmSync(file);
    symlinkSync(`${file}.real`, file);
  },
  'a directory': (file) => {
    rmSync(file);
    mkdirSync(file, { mode: 0o700 });
  },
};

for (const [what, spoil] of Object.entries(UNREADABLE)) {
  test(`[K10] a key file that is ${what} is refused`, async (context) => {
    const file = newFile(context);
    await (await localRoot.open({ file })).wrap(Buffer.alloc(32), AAD);
    const key = readFileSync(file);
    spoil(file);
    await assert.rejects(localRoot.open({ file }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'KEYS_ROOT_UNREADABLE');
      return !error.message.includes(key.toString('hex')) && !error.message.includes(file);
    });
  });
}

/** A key file under a passphrase, and the file of that passphrase. */
function underPassphrase(context: TestContext, text: string) {
  const file = newFile(context);
  const passphraseFile = join(testDirectory(context), 'passphrase');
  writeFileSync(passphraseFile, `${text}\n`, { mode: 0o600 });
  return { file, passphraseFile, passphrase: { file: passphraseFile } };
}

test('[K10] under a passphrase the file holds no key, and opens with that passphrase only', async (context) => {
  const { file, passphrase, passphraseFile } = underPassphrase(context, 'vier wörter und ein komma');
  const wrapped = await (await localRoot.open({ file, passphrase })).wrap(Buffer.alloc(32, 5), AAD);
  assert.equal(readFileSync(file, 'latin1').slice(0, 4), 'kwl1');
  assert.deepEqual(await (await localRoot.open({ file, passphrase })).unwrap(wrapped, AAD), Buffer.alloc(32, 5));
  // Typed with the diaeresis as a character of its own.
  writeFileSync(passphraseFile, 'vier wo\u0308rter und ein komma');
  assert.deepEqual(await (await localRoot.open({ file, passphrase })).unwrap(wrapped, AAD), Buffer.alloc(32, 5));
  writeFileSync(passphraseFile, 'another one');
  await assert.rejects(localRoot.open({ file, passphrase }), /KEYS_ROOT_UNREADABLE: The passphrase does not open it/);
  await assert.rejects(localRoot.open({ file }), /KEYS_ROOT_UNREADABLE: It needs its passphrase/);
});

test('[K10] a key that lay there without a passphrase is not taken for one that has it', async (context) => {
  const { file, passphrase } = underPassphrase(context, 'a passphrase');
  createRootKey(file);
  await assert.rejects(
    localRoot.open({ file, passphrase }),
    /KEYS_ROOT_UNREADABLE: It lies there without a passphrase/,
  );
});

test('[K10] no byte of a key file under a passphrase can change', async (context) => {
  const { file, passphrase } = underPassphrase(context, 'a passphrase');
  createRootKey(file, 'a passphrase');
  const bytes = readFileSync(file);
  // One byte in each part: magic, salt, key id, IV, ciphertext, tag.
  for (const at of [0, 5, 24, 40, 60, 96]) {
    const altered = Buffer.from(bytes);
    altered[at]! ^= 1;
    writeFileSync(file, altered);
    await assert.rejects(localRoot.open({ file, passphrase }), { code: 'KEYS_ROOT_UNREADABLE' });
  }
});
