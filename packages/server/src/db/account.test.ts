/** Tests of the choice of the account PostgreSQL runs under. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AccountFacts, chooseAccount } from './account.ts';

const PASSWD = [
  'root:x:0:0:root:/root:/bin/bash',
  'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
  'postgres:x:101:104::/var/lib/postgresql:/bin/bash',
].join('\n');
const WITHOUT_POSTGRES = PASSWD.split('\n').slice(0, 2).join('\n');

const ROOT: AccountFacts = { uid: 0, platform: 'linux', passwd: PASSWD, clusterOwner: undefined };

const CHOICES = [
  { who: 'an ordinary user', facts: { ...ROOT, uid: 1000 }, chosen: undefined },
  { who: 'the owner of a cluster', facts: { ...ROOT, uid: 1000, clusterOwner: 1000 }, chosen: undefined },
  { who: 'root', facts: ROOT, chosen: 'postgres' },
  { who: 'root without a user postgres', facts: { ...ROOT, passwd: WITHOUT_POSTGRES }, chosen: 'nobody' },
  { who: 'root on a cluster of nobody', facts: { ...ROOT, clusterOwner: 65_534 }, chosen: 'nobody' },
] as const;

for (const { who, facts, chosen } of CHOICES) {
  test(`[S1] ${who} runs PostgreSQL as ${chosen ?? 'itself'}`, () => {
    assert.equal(chooseAccount(facts)?.name, chosen);
  });
}

const REFUSALS = [
  { why: 'root on macOS', facts: { ...ROOT, platform: 'darwin' }, code: 'DB_BINARY' },
  {
    why: 'root where nobody else exists',
    facts: { ...ROOT, passwd: 'root:x:0:0:root:/root:/bin/bash' },
    code: 'DB_BINARY',
  },
  { why: 'a cluster whose owner is gone', facts: { ...ROOT, clusterOwner: 4242 }, code: 'DB_BINARY' },
  { why: 'a cluster of another user', facts: { ...ROOT, uid: 1000, clusterOwner: 1001 }, code: 'UP_DATA_DIR' },
] as const;

for (const { why, facts, code } of REFUSALS) {
  test(`[S1] ${why} is refused with ${code}`, () => {
    assert.throws(() => chooseAccount(facts), { code });
  });
}
