/** What shares a statement, and what does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { together } from './together.ts';

/** Runs that end when they are told to. */
function controlled() {
  const runs: { items: readonly number[]; end: (failure?: Error) => void }[] = [];
  const call = together<number, string>(
    (items) =>
      new Promise((resolve, reject) => {
        const end = (failure?: Error) => (failure ? reject(failure) : resolve(items.map(String)));
        runs.push({ items, end });
      }),
  );
  return { runs, call };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('[K6] calls that arrive while one is under way share the next, and each gets its own results', async () => {
  const { runs, call } = controlled();
  const calls = [call([1]), call([2, 3]), call([]), call([4])];
  assert.deepEqual(
    runs.map(({ items }) => items),
    [[1]],
  );
  runs[0]!.end();
  await turn();
  assert.deepEqual(
    runs.map(({ items }) => items),
    [[1], [2, 3, 4]],
  );
  runs[1]!.end();
  assert.deepEqual(await Promise.all(calls), [['1'], ['2', '3'], [], ['4']]);
});

test('[K6] a run that fails fails for those who share it, and for nobody else', async () => {
  const { runs, call } = controlled();
  const calls = Promise.allSettled([call([1]), call([2]), call([3])]);
  runs[0]!.end();
  await turn();
  const later = call([4]);
  runs[1]!.end(new Error('lost'));
  await turn();
  runs[2]!.end();
  assert.deepEqual(
    (await calls).map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected'],
  );
  assert.deepEqual(await later, ['4']);
});

test('[K6] one run takes a bounded number of items, and a call is never divided', async () => {
  const { runs, call } = controlled();
  const many = Array.from({ length: 1_500 }, (_, at) => at);
  const calls = [call([0]), call(many), call(many), call([1])];
  runs[0]!.end();
  await turn();
  runs[1]!.end();
  await turn();
  runs[2]!.end();
  await Promise.all(calls);
  assert.deepEqual(
    runs.map(({ items }) => items.length),
    [1, 1_500, 1_501],
  );
});
