/** Reading the ledger while others write: pages, and followers that miss nothing. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { createMemoryKeys } from '../../../../test/support/memory-keys.ts';
import { newUuid } from '../core/index.ts';
import { connectionFor, openPool } from '../db/index.ts';
import { type LedgerReader, readLedger } from './read.ts';
import { eventOf, type LedgerDatabase, ledgerOn, startLedgerDatabase } from './testing.ts';

const keys = createMemoryKeys();
let database: LedgerDatabase;
let reader: LedgerReader;
before(async () => {
  database = await startLedgerDatabase();
  reader = readLedger({ pool: database.reader, keys, tenant: 'clinic' });
});
after(() => database.stop());

test('[L1] tail gives the newest, what follows a position, and one class', async () => {
  const correlationId = newUuid();
  await ledgerOn(database.writer, keys).record(
    [1, 2, 3, 4].map((n) => eventOf({ correlationId, class: n % 2 ? 'admin' : 'failure', rule: `r${n}` })),
  );
  const rules = async (query: Parameters<LedgerReader['tail']>[0]) =>
    (await reader.tail({ correlationId, ...query })).map(({ event }) => event?.rule);
  assert.deepEqual(await rules({ limit: 2 }), ['r3', 'r4']);
  const first = (await reader.tail({ limit: 4, correlationId }))[0]?.position ?? assert.fail('nothing there');
  assert.deepEqual(await rules({ limit: 2, after: first }), ['r2', 'r3']);
  assert.deepEqual(await rules({ limit: 9, class: 'failure' }), ['r2', 'r4']);
});

/** A writer in a process of its own, in the middle of a transaction. */
async function openWriter(context: TestContext) {
  const pool = openPool(connectionFor(database.postgres.paths, 'ledger-writer'), {
    max: 1,
    applicationName: 'one writer',
  });
  const own = ledgerOn(pool, keys);
  context.after(() => pool.end());
  await pool.query('BEGIN');
  return {
    record: (rule: string, correlationId: string) => own.record([eventOf({ rule, correlationId })]),
    takeTransactionId: () => pool.query('SELECT pg_current_xact_id()'),
    commit: () => pool.query('COMMIT'),
  };
}

/** Every entry of one request that is shown to somebody who goes on behind the last page, as `tail --follow` does. */
function createFollower(correlationId: string) {
  let last: bigint | undefined;
  return async () => {
    const from = last === undefined ? { settled: true } : { after: last };
    const page = await reader.tail({ limit: 9, correlationId, ...from });
    last = page.at(-1)?.position ?? last ?? 0n;
    return page.map(({ event }) => event?.rule);
  };
}

test('[L1] a follower misses no entry that commits after one with a higher position', async (context) => {
  const correlationId = newUuid();
  const follow = createFollower(correlationId);
  const [slow, quick] = [await openWriter(context), await openWriter(context)];
  await slow.record('lower position', correlationId);
  await quick.record('higher position', correlationId);
  await quick.commit();
  const newest = await reader.tail({ limit: 9, correlationId });
  assert.deepEqual(
    newest.map(({ event }) => event?.rule),
    ['higher position'],
  );
  assert.deepEqual(await follow(), []);
  await slow.commit();
  assert.deepEqual(await follow(), ['lower position', 'higher position']);
  assert.deepEqual(await follow(), []);
});

test('[L1] a follower misses no entry of a later transaction with a lower position', async (context) => {
  const correlationId = newUuid();
  const follow = createFollower(correlationId);
  const [first, second] = [await openWriter(context), await openWriter(context)];
  await first.takeTransactionId();
  await second.record('lower position', correlationId);
  await first.record('higher position', correlationId);
  await first.commit();
  assert.deepEqual(await follow(), ['higher position']);
  await second.commit();
  assert.deepEqual(await follow(), ['lower position']);
  assert.deepEqual(await follow(), []);
});

test('[L2] a writer chooses neither the position nor the transaction of an entry', async () => {
  for (const column of ['position', 'transaction_id']) {
    const insert = `INSERT INTO ledger_entries (id, ${column}) OVERRIDING SYSTEM VALUE VALUES (gen_random_uuid(), '1')`;
    await assert.rejects(database.writer.query(insert), { code: '42501' });
  }
});
