/** Tests of the lock by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KeywardError } from '../core/index.ts';
import { createKeyedLock, createLoans } from './keyed-lock.ts';

/** Longer than any wait that ends; a test that would wait for ever fails by it. */
const LONG_MS = 5_000;
const isContended = (error: unknown) => error instanceof KeywardError && error.code === 'GATEWAY_CONTENDED';

test('[E1] who asks for a lent name waits, in the order of asking; another name is free', async () => {
  const lock = createKeyedLock(LONG_MS);
  const order: string[] = [];
  const first = await lock.acquire(['a']);
  const waiting = ['second', 'third'].map(async (who) => {
    const release = await lock.acquire(['a']);
    order.push(who);
    release();
  });
  (await lock.acquire(['b']))();
  await nextTurn();
  assert.deepEqual(order, []);
  first();
  await Promise.all(waiting);
  assert.deepEqual(order, ['second', 'third']);
  (await lock.acquire(['a']))();
});

test('[E1] two that want the same names in another order, or a name twice, do not wait for each other for ever', {
  timeout: 2 * LONG_MS,
}, async () => {
  const lock = createKeyedLock(LONG_MS);
  const both = async (names: string[]) => {
    const release = await lock.acquire(names);
    await nextTurn();
    release();
  };
  await Promise.all([both(['a', 'b']), both(['b', 'a']), both(['b', 'b', 'a'])]);
  (await lock.acquire(['a', 'b']))();
});

test('[A3] who waits too long is told so and gets nothing, and whoever comes later still waits for the holder', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lock = createKeyedLock(LONG_MS);
  const holder = await lock.acquire(['b']);
  const tooLate = assert.rejects(lock.acquire(['a', 'b']), isContended);
  await nextTurn();
  t.mock.timers.tick(LONG_MS);
  await tooLate;
  (await lock.acquire(['a']))();
  const order: string[] = [];
  const later = (async () => {
    const release = await lock.acquire(['b']);
    order.push('later');
    release();
  })();
  await nextTurn();
  order.push('holder');
  holder();
  await later;
  assert.deepEqual(order, ['holder', 'later']);
  (await lock.acquire(['a', 'b']))();
});

test('[A3] the wait is counted over all names together', { timeout: LONG_MS }, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lock = createKeyedLock(LONG_MS);
  const [first, second] = [await lock.acquire(['a']), await lock.acquire(['b'])];
  const both = assert.rejects(lock.acquire(['a', 'b']), isContended);
  t.mock.timers.tick(LONG_MS - 1);
  first();
  await nextTurn();
  t.mock.timers.tick(1);
  await both;
  second();
});

test('[E1] a request does not wait for what it holds itself, and gives back everything', {
  timeout: LONG_MS,
}, async () => {
  const lock = createKeyedLock(LONG_MS);
  const loans = createLoans(lock);
  await loans.borrow(['a']);
  await loans.borrow(['a', 'b']);
  const other = lock.acquire(['a', 'b']);
  loans.giveBack();
  (await other)();
});
