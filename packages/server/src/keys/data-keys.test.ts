/** What it costs to look for keys, as the database itself counts it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Pool } from 'pg';
import { newUuid, systemClock } from '../core/index.ts';
import { openPool } from '../db/index.ts';
import { createDataKeys } from './data-keys.ts';
import { createKeks } from './keks.ts';
import { localRoot } from './roots/local/local.ts';
import { type KeyDatabase, startKeyDatabase, testDirectory } from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

/** One connection, so that what it did is counted when the next statement asks. */
const READ = `
  SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'data_key')
    + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'data_key') AS read`;

async function keysRead(pool: Pool): Promise<number> {
  await pool.query('SELECT pg_stat_force_next_flush()');
  return Number((await pool.query<{ read: string }>(READ)).rows[0]!.read);
}

test('[K6] whoever looks for a key reads that key and none of the others', async (context) => {
  const pool = openPool(database.connection, { max: 1, applicationName: 'keys test' });
  context.after(() => pool.end());
  const root = await localRoot.open({ file: join(testDirectory(context), 'root', 'root.key') });
  const place = { pool, tenant: `t-${newUuid()}`, clock: systemClock };
  const keks = createKeks({ ...place, root });
  await keks.start();
  const dataKeys = createDataKeys({ ...place, keks });
  const others = Array.from({ length: 500 }, () => ({ kind: 'subject', scope: newUuid() }));
  await dataKeys.insert(await dataKeys.draft(others));

  const readBefore = await keysRead(pool);
  const wanted = others.slice(0, 3);
  const found = await dataKeys.findBySpecs([...wanted, ...wanted, { kind: 'subject', scope: newUuid() }]);
  assert.equal((await dataKeys.findByIds(found.map(({ id }) => id))).length, found.length);
  const read = (await keysRead(pool)) - readBefore;
  assert.deepEqual(new Set(found.map(({ scope }) => scope)), new Set(wanted.map(({ scope }) => scope)));
  assert.ok(read >= 3 && read <= 20, `${read} entries read for 3 keys`);
});
