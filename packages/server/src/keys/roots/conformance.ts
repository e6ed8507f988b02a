/** What every root must do: one suite, run for each of them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import type { Root } from './root.ts';

export interface RootFactory {
  /** A root with a key of its own. */
  open(context: TestContext): Promise<{
    readonly root: Root;
    /** The same root as another process would open it. */
    readonly reopen: () => Promise<Root>;
  }>;
}

const AAD = Buffer.from('tenant-a/1');

export function testRootConformance(name: string, factory: RootFactory): void {
  const check = (
    what: string,
    body: (root: Root, context: TestContext, reopen: () => Promise<Root>) => Promise<void>,
  ) =>
    void test(`[K9] ${name}: ${what}`, async (context) => {
      const { root, reopen } = await factory.open(context);
      await body(root, context, reopen);
    });

  check('what was wrapped unwraps, also after it was opened again', async (root, _context, reopen) => {
    const plaintext = randomBytes(32);
    const wrapped = await root.wrap(plaintext, AAD);
    assert.deepEqual(await root.unwrap(wrapped, AAD), plaintext);
    assert.deepEqual(await (await reopen()).unwrap(wrapped, AAD), plaintext);
  });

  check('what was wrapped does not show the plaintext, and never looks the same twice', async (root) => {
    const plaintext = randomBytes(32);
    const wrapped = await root.wrap(plaintext, AAD);
    assert.equal(wrapped.includes(plaintext), false);
    assert.notDeepEqual(await root.wrap(plaintext, AAD), wrapped);
  });

  check('other associated data does not unwrap', async (root) => {
    const wrapped = await root.wrap(randomBytes(32), AAD);
    for (const other of ['', 'tenant-a/2', 'tenant-b/1', 'tenant-a/1 ']) {
      await assert.rejects(root.unwrap(wrapped, Buffer.from(other)), { code: 'KEYS_NOT_AUTHENTIC' });
    }
  });

  check('a change of any byte, and any truncation, does not unwrap', async (root) => {
    const wrapped = await root.wrap(randomBytes(32), AAD);
    for (let at = 0; at < wrapped.length; at += 1) {
      const altered = Buffer.from(wrapped);
      altered[at]! ^= 1;
      await assert.rejects(root.unwrap(altered, AAD), /KEYS_(NOT_AUTHENTIC|ROOT_MISMATCH)/);
      await assert.rejects(root.unwrap(wrapped.subarray(0, at), AAD), /KEYS_(NOT_AUTHENTIC|ROOT_MISMATCH)/);
    }
  });

  check('another root key does not unwrap, and the error says that it is another one', async (root, context) => {
    const { root: other } = await factory.open(context);
    await other.wrap(randomBytes(32), AAD);
    await assert.rejects(other.unwrap(await root.wrap(randomBytes(32), AAD), AAD), { code: 'KEYS_ROOT_MISMATCH' });
  });

  check('many at once keep their own plaintexts', async (root) => {
    const plaintexts = Array.from({ length: 50 }, () => randomBytes(32));
    const wrapped = await Promise.all(plaintexts.map((plaintext) => root.wrap(plaintext, AAD)));
    assert.deepEqual(await Promise.all(wrapped.map((each) => root.unwrap(each, AAD))), plaintexts);
  });

  check('no error holds what was wrapped', async (root) => {
    const plaintext = randomBytes(32);
    const wrapped = await root.wrap(plaintext, AAD);
    const error = await root.unwrap(wrapped, Buffer.alloc(0)).catch((thrown: unknown) => thrown);
    const text = inspect(error, { depth: 9, showHidden: true });
    for (const encoding of ['hex', 'base64', 'latin1'] as const)
      assert.equal(text.includes(plaintext.toString(encoding)), false);
  });
}
