/** What every root must do: one suite, run for each of them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { KeywardError } from '../../core/index.ts';
import { testLog } from '../testing.ts';
import { RESILIENCE } from './resilience.ts';
import { resilient } from './resilient.ts';
import type { Root, RootDescription } from './root.ts';

/** What lies between a root and its key. Without it the root is in this process. */
export interface Line {
  /** What is asked from now on gets no answer. */
  stall(): void | Promise<void>;
  /** There is nobody to ask any more. */
  cut(): void | Promise<void>;
  /** All is well again. */
  mend(): void | Promise<void>;
}

export interface RootUnderTest {
  readonly root: Root;
  /** The same root as another process would open it. */
  readonly reopen: () => Promise<Root>;
  /** Everything but `key`, which must be there too. */
  readonly expected: Omit<RootDescription, 'key'>;
  /** Credentials that no error may show. */
  readonly credentials?: readonly string[];
  readonly line?: Line;
  /** Takes the right to use the key away from the custodian, as an administrator of the HSM or KMS does; and gives it back. */
  readonly key?: { disable(): Promise<void>; enable(): Promise<void> };
}

export interface RootFactory {
  /** Why it cannot be tested on this machine. */
  readonly skip?: string | undefined;
  /** A root with a key of its own, not yet `resilient`; it ends with the context. */
  open(context: TestContext): Promise<RootUnderTest>;
}

const AAD = Buffer.from('tenant-a/1');
const AUTHENTIC_CODES = /KEYS_(NOT_AUTHENTIC|ROOT_MISMATCH)/;

/** Short pauses, so that an outage is a matter of a second; time for an answer also where the machine is busy. */
const PATIENT = { ...RESILIENCE, timeoutMs: 20_000, attempts: 2, firstPauseMs: 20, breakAfter: 4, coolDownMs: 100 };

/** For one that does not answer at all. */
const IMPATIENT = { ...PATIENT, timeoutMs: 1_000 };

/** Far above two attempts of `IMPATIENT`, far below a root that is waited for. */
const NOT_WAITED_MS = 30_000;

interface Opened extends RootUnderTest {
  /** Its root as the custodian uses it. */
  readonly guarded: Root;
}

export function testRootConformance(name: string, factory: RootFactory): void {
  const open = async (context: TestContext): Promise<Opened> => {
    const opened = await factory.open(context);
    return { ...opened, guarded: resilient(opened.root, { log: testLog() }, PATIENT) };
  };
  const check = (what: string, body: (opened: Opened, context: TestContext) => Promise<void>) =>
    void test(`[K9] ${name}: ${what}`, { skip: factory.skip ?? false }, async (context) =>
      body(await open(context), context),
    );

  check('what was wrapped unwraps, also after it was opened again', async ({ root, reopen }) => {
    const plaintext = randomBytes(32);
    const wrapped = await root.wrap(plaintext, AAD);
    assert.deepEqual(await root.unwrap(wrapped, AAD), plaintext);
    assert.deepEqual(await (await reopen()).unwrap(wrapped, AAD), plaintext);
  });

  check('what was wrapped does not show the plaintext, and never looks the same twice', async ({ root }) => {
    const plaintext = randomBytes(32);
    const wrapped = await root.wrap(plaintext, AAD);
    assert.equal(wrapped.includes(plaintext), false);
    assert.notDeepEqual(await root.wrap(plaintext, AAD), wrapped);
  });

  check('other associated data does not unwrap', async ({ root }) => {
    const wrapped = await root.wrap(randomBytes(32), AAD);
    for (const other of ['', 'tenant-a/2', 'tenant-b/1', 'tenant-a/1 ']) {
      await assert.rejects(root.unwrap(wrapped, Buffer.from(other)), { code: 'KEYS_NOT_AUTHENTIC' });
    }
  });

  check('a change of any byte, and any truncation, does not unwrap', async ({ root }) => {
    const wrapped = await root.wrap(randomBytes(32), AAD);
    for (let at = 0; at < wrapped.length; at += 1) {
      const altered = Buffer.from(wrapped);
      altered[at]! ^= 1;
      await assert.rejects(root.unwrap(altered, AAD), AUTHENTIC_CODES, `byte ${at} of ${wrapped.length}`);
      await assert.rejects(root.unwrap(wrapped.subarray(0, at), AAD), AUTHENTIC_CODES, `cut off at ${at}`);
    }
  });

  check('another root key does not unwrap, and the error says that it is another one', async ({ root }, context) => {
    const { root: other } = await factory.open(context);
    await other.wrap(randomBytes(32), AAD);
    await assert.rejects(other.unwrap(await root.wrap(randomBytes(32), AAD), AAD), { code: 'KEYS_ROOT_MISMATCH' });
  });

  check('many at once keep their own plaintexts', async ({ guarded }) => {
    const plaintexts = Array.from({ length: 50 }, () => randomBytes(32));
    const wrapped = await Promise.all(plaintexts.map((plaintext) => guarded.wrap(plaintext, AAD)));
    assert.deepEqual(await Promise.all(wrapped.map((each) => guarded.unwrap(each, AAD))), plaintexts);
  });

  check('it tells what it is', async ({ root, expected }) => {
    await root.wrap(randomBytes(32), AAD);
    const { key, ...description } = root.describe();
    assert.deepEqual(description, expected);
    assert.ok(key.length > 1);
  });

  check('once it is closed it wraps and unwraps nothing', async ({ root, guarded }) => {
    const wrapped = await root.wrap(randomBytes(32), AAD);
    await root.close();
    for (const closed of [root, guarded]) {
      await assert.rejects(closed.wrap(randomBytes(32), AAD), { code: 'KEYS_ROOT_UNUSABLE' });
      await assert.rejects(closed.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_UNUSABLE' });
    }
  });

  check('no error holds what was wrapped, nor a credential', async ({ root, guarded, credentials = [], line, key }) => {
    const plaintext = randomBytes(32);
    const wrapped = await root.wrap(plaintext, AAD);
    const errors = [await failureOf(root.unwrap(wrapped, Buffer.alloc(0)))];
    if (key) {
      await key.disable();
      errors.push(await failureOf(guarded.wrap(plaintext, AAD)));
      await key.enable();
    }
    if (line) {
      await line.cut();
      errors.push(await failureOf(guarded.wrap(plaintext, AAD)));
      await line.mend();
    }
    const secrets = ['hex', 'base64', 'latin1'] as const;
    const texts = errors.map((error) => inspect(error, { depth: 9, showHidden: true }));
    for (const secret of [...secrets.map((encoding) => plaintext.toString(encoding)), ...credentials])
      assert.equal(
        texts.some((text) => text.includes(secret)),
        false,
      );
  });

  check(
    'a key that may not be used any more is told from an outage, and serves again when it may',
    async ({ guarded, key }, context) => {
      if (!key) return context.skip('its key cannot be disabled');
      const wrapped = await guarded.wrap(randomBytes(32), AAD);
      await key.disable();
      await assert.rejects(guarded.wrap(randomBytes(32), AAD), { code: 'KEYS_ROOT_REFUSED' });
      await assert.rejects(guarded.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_REFUSED' });
      await key.enable();
      assert.equal((await guarded.unwrap(wrapped, AAD)).length, 32);
    },
  );

  check(
    'one that does not answer is not waited for, and serves again when it answers',
    async ({ root, line }, context) => {
      if (!line) return context.skip('its key is in this process');
      const guarded = resilient(root, { log: testLog() }, IMPATIENT);
      const wrapped = await root.wrap(randomBytes(32), AAD);
      await line.stall();
      const startedMs = performance.now();
      await assert.rejects(guarded.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_UNAVAILABLE' });
      assert.ok(performance.now() - startedMs < NOT_WAITED_MS);
      await line.mend();
      assert.equal((await eventually(() => guarded.unwrap(wrapped, AAD))).length, 32);
    },
  );

  check('after an outage it recovers by itself', async ({ guarded, line }, context) => {
    if (!line) return context.skip('its key is in this process');
    const wrapped = await guarded.wrap(randomBytes(32), AAD);
    await line.cut();
    for (let call = 0; call < 4; call += 1)
      await assert.rejects(guarded.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_UNAVAILABLE' });
    await line.mend();
    assert.equal((await eventually(() => guarded.unwrap(wrapped, AAD))).length, 32);
  });
}

const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => assert.fail('it must fail'),
    (thrown: unknown) => thrown,
  );

const RECOVERY_MS = 60_000;

/** The first answer that is no outage. */
async function eventually<T>(call: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + RECOVERY_MS;
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      const isOutage = thrown instanceof KeywardError && thrown.code === 'KEYS_ROOT_UNAVAILABLE';
      if (!isOutage || performance.now() > untilMs) throw thrown;
      await RESILIENCE.pause(50);
    }
  }
}
