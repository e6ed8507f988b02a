/** Tests of group commit by itself: grouping, order, deadlines and recovery. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGroupCommit } from './group-commit.ts';

class Transient extends Error {}

/** A group commit whose `commit` the test decides about. */
function setUp(commit: (batch: readonly number[]) => Promise<void>, maxBatch = 100) {
  const failure = (cause: unknown) => new Error('not recorded', { cause });
  return createGroupCommit<number>({ commit, isTransient: (error) => error instanceof Transient, maxBatch, failure });
}

test('[L1] what arrives while a batch is written shares the next one', async () => {
  const batches: number[][] = [];
  const group = setUp(async (batch) => {
    batches.push([...batch]);
    await sleep(5);
  });
  await Promise.all([1, 2, 3, 4, 5].map((n) => group.add([n], 1000)));
  assert.deepEqual(batches, [[1], [2, 3, 4, 5]]);
});

test('[L1] a call larger than a batch keeps its order and resolves after its last item', async () => {
  const written: number[] = [];
  const group = setUp(async (batch) => {
    await sleep(1);
    written.push(...batch);
  }, 2);
  await group.add([1, 2, 3, 4, 5], 1000);
  assert.deepEqual(written, [1, 2, 3, 4, 5]);
});

test('[L1] a transient failure is tried again while somebody waits', async () => {
  let attempts = 0;
  const group = setUp(async () => {
    attempts += 1;
    if (attempts < 3) throw new Transient();
  });
  await group.add([1], 5000);
  assert.equal(attempts, 3);
});

test('[L1] a lasting failure reaches exactly those who waited for that batch', async () => {
  const group = setUp(async (batch) => {
    await sleep(1);
    if (batch.includes(2)) throw new TypeError('refused');
  }, 1);
  const results = await Promise.allSettled([1, 2, 3].map((n) => group.add([n], 1000)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

test('[L1] nobody waits longer than his deadline, and what nobody waits for is not written later', async () => {
  const written: number[] = [];
  let down = true;
  const group = setUp(async (batch) => {
    if (down) throw new Transient();
    written.push(...batch);
  });
  await assert.rejects(group.add([1], 80), { message: 'not recorded', cause: new Transient() });
  down = false;
  await group.add([2], 1000);
  assert.deepEqual(written, [2]);
});

test('[L1] nothing to record is recorded at once', async () => {
  await setUp(() => assert.fail('nothing to write')).add([], 1);
});
