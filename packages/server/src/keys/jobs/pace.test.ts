/** The pace of jobs: how long they work without a pause, and how long they stay away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPace } from './pace.ts';

test('[K3] a job works for its milliseconds, and rests as its share says', async () => {
  const slept: number[] = [];
  let nowMs = 0;
  const sleep = async (ms: number) => {
    slept.push(ms);
    nowMs += ms;
  };
  const pace = createPace({ busyMs: 8, dutyShare: 0.25, now: () => nowMs, sleep });
  for (let piece = 0; piece < 10; piece++) {
    nowMs += 4;
    await pace();
  }
  assert.deepEqual(slept, [24, 24, 24, 24, 24]);
});
