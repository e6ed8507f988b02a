/** The waiting period of destructions as the configuration accepts it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from './schema.ts';

const waitingDays = (days?: number): number =>
  configSchema.parse(days === undefined ? {} : { keys: { destruction: { waitingDays: days } } }).keys.destruction
    .waitingDays;

test('[K7] a destruction waits 7 days unless more are configured, up to 90', () => {
  assert.equal(waitingDays(), 7);
  assert.equal(waitingDays(90), 90);
  for (const days of [0, 6, 7.5, 91]) assert.throws(() => waitingDays(days));
});
