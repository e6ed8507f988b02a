/** How long destructions wait, by configuration and root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RootConfig } from '../config/index.ts';
import { destructionWaitMs } from './destruction.ts';

const LOCAL: RootConfig = { provider: 'local' };
const WITH_PASSPHRASE: RootConfig = { provider: 'local', passphrase: { env: 'ROOT_PASSPHRASE' } };
const REAL: RootConfig = { provider: 'aws-kms', key: 'arn:aws:kms:eu-central-1:111122223333:key/mrk-1' };

const DAY_MS = 86_400_000;

test('[K7] a destruction waits the days that are configured, on every root', () => {
  const destruction = { waitingDays: 90 };
  for (const root of [LOCAL, WITH_PASSPHRASE, REAL])
    assert.equal(destructionWaitMs({ destruction, root }), 90 * DAY_MS);
});

test('[K7] seconds instead of days are accepted for the local development root alone, and with no real one to move to', () => {
  const destruction = { waitingDays: 7, rehearsalSeconds: 5 };
  assert.equal(destructionWaitMs({ destruction, root: LOCAL }), 5000);
  assert.equal(destructionWaitMs({ destruction, root: LOCAL, nextRoot: LOCAL }), 5000);
  for (const real of [WITH_PASSPHRASE, REAL]) {
    assert.throws(() => destructionWaitMs({ destruction, root: real }), { code: 'CONFIG_INVALID' });
    assert.throws(() => destructionWaitMs({ destruction, root: LOCAL, nextRoot: real }), { code: 'CONFIG_INVALID' });
  }
});
