/** Who used a key, as the ledger tells it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createMemoryKeys } from '../../../../test/support/memory-keys.ts';
import { eventOf, type LedgerDatabase, ledgerOn, startLedgerDatabase } from './testing.ts';
import { usesOfKeys } from './uses.ts';

let database: LedgerDatabase;
before(async () => {
  database = await startLedgerDatabase();
});
after(() => database.stop());

const DAY_MS = 86_400_000;
const KEY = 'cd'.repeat(16);

test('[K7] uses of a key are counted by process, purpose and operation, with people and times', async () => {
  const keys = createMemoryKeys();
  const ledger = ledgerOn(database.writer, keys);
  const now = Date.now();
  const use = (sub: string, purpose: string, daysAgo: number, keyIds = [KEY]) =>
    eventOf({
      at: new Date(now - daysAgo * DAY_MS),
      class: 'key.access',
      interaction: 'keys.process',
      actor: { sub, client: 'gateway', issuer: 'https://idp.example' },
      purpose,
      keyIds,
    });
  await ledger.record([
    use('one', 'TREAT', 1),
    use('one', 'TREAT', 2),
    use('two', 'TREAT', 0),
    use('gateway', 'SYSTEM', 1),
    use('one', 'TREAT', 40),
    use('one', 'TREAT', 1, ['ef'.repeat(16)]),
  ]);
  const inputs = { pool: database.reader, keys, tenant: 'clinic' };
  const { uses, unreadable } = await usesOfKeys(inputs, [KEY], new Date(now - 30 * DAY_MS));
  assert.equal(unreadable, 0);
  assert.deepEqual(
    uses.map(({ process, purpose, count, people }) => [process, purpose, count, people]),
    [
      ['gateway', 'TREAT', 3, 2],
      ['gateway', 'SYSTEM', 1, 0],
    ],
  );
  assert.deepEqual(
    [uses[0]?.first, uses[0]?.last].map((at) => at?.getTime()),
    [now - 2 * DAY_MS, now],
  );
  assert.deepEqual(await usesOfKeys(inputs, ['00'.repeat(16)], new Date(0)), { uses: [], unreadable: 0 });
  await ledger.close();
});
