/** Tests of roles, migrations and pools against the real server. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, type Pool, type PoolClient } from 'pg';
import { startTestPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { createLog } from '../core/index.ts';
import {
  type ConnectionConfig,
  connectionFor,
  databasePasswords,
  type DatabaseUser,
  mapDbError,
  migrate,
  openPool,
  provision,
  startEmbeddedPostgres,
  superuserConnection,
  withClient,
  withTransaction,
} from './index.ts';

let postgres: TestPostgres;
before(async () => {
  postgres = await startTestPostgres();
});
after(() => postgres.stop());

async function using<T>(config: ConnectionConfig, work: (pool: Pool) => Promise<T>, max = 2): Promise<T> {
  const pool = openPool(config, { max, applicationName: 'test' });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

async function canConnect(config: ConnectionConfig): Promise<boolean> {
  const client = new Client(config);
  try {
    await client.connect();
    return true;
  } catch (error) {
    assert.match((error as { code: string }).code, /^(42501|28P01)$/);
    return false;
  } finally {
    await client.end();
  }
}

/** Which user enters which database; nothing else. */
const DOORS: Readonly<Record<DatabaseUser, string>> = {
  custodian: 'keyward_keys',
  'ledger-writer': 'keyward_ledger',
  'ledger-reader': 'keyward_ledger',
  store: 'keyward_store',
};

for (const [user, own] of Object.entries(DOORS) as [DatabaseUser, string][]) {
  test(`[S1] ${user} enters ${own} and no other database`, async () => {
    const config = connectionFor(postgres.paths, user);
    for (const database of ['keyward_keys', 'keyward_ledger', 'keyward_store', 'postgres', 'template1']) {
      assert.equal(await canConnect({ ...config, database }), database === own, database);
    }
    assert.equal(await canConnect({ ...config, password: 'wrong' }), false);
  });
}

test('[L2] the writer of the ledger can make no table in its database', async () => {
  await using(connectionFor(postgres.paths, 'ledger-writer'), async (pool) => {
    await assert.rejects(pool.query('CREATE TABLE mine (n int)'), { code: '42501' });
  });
});

test('[S1] provisioning again sets passwords and limits back to what the secret files say', async () => {
  await using(postgres.connection(), (pool) => pool.query(`ALTER ROLE keyward_store PASSWORD 'other' SUPERUSER`));
  assert.equal(await canConnect(connectionFor(postgres.paths, 'store')), false);
  await provision({ admin: postgres.connection(), passwords: databasePasswords(postgres.paths) });
  const rows = await using(connectionFor(postgres.paths, 'store'), (pool) =>
    pool.query(`SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).then((result) => result.rows),
  );
  assert.deepEqual(rows, [{ rolsuper: false }]);
});

const FIRST = { version: 1, name: 'first', sql: 'CREATE TABLE numbers (n int); INSERT INTO numbers VALUES (1)' };
const SECOND = { version: 2, name: 'second', sql: 'INSERT INTO numbers VALUES (2)' };

test('[S1] migrations are applied once and in order, however many processes start together', async () => {
  await using(
    postgres.connection('keyward_store'),
    async (pool) => {
      await Promise.all([1, 2, 3].map(() => migrate(pool, 'numbers', [FIRST, SECOND])));
      assert.deepEqual((await pool.query('SELECT n FROM numbers ORDER BY n')).rows, [{ n: 1 }, { n: 2 }]);
      await assert.rejects(migrate(pool, 'numbers', [FIRST]), { code: 'DB_SCHEMA_NEWER' });
      const changed = { ...FIRST, sql: `${FIRST.sql} ` };
      await assert.rejects(migrate(pool, 'numbers', [changed, SECOND]), { code: 'DB_SCHEMA_CHANGED' });
    },
    3,
  );
});

test('[S1] a migration that fails leaves nothing behind', async () => {
  await using(postgres.connection('keyward_store'), async (pool) => {
    const broken = { version: 1, name: 'broken', sql: 'CREATE TABLE half (n int); SELECT 1/0' };
    await assert.rejects(migrate(pool, 'broken', [broken]), { code: '22012' });
    assert.deepEqual((await pool.query(`SELECT to_regclass('half') AS half`)).rows, [{ half: null }]);
    assert.equal((await pool.query(`SELECT FROM keyward_schema WHERE component = 'broken'`)).rowCount, 0);
  });
});

const pidOf = async (on: Pick<Pool, 'query'>): Promise<number | undefined> =>
  (await on.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;

test('[S1] a transaction whose work fails is rolled back, and its connection is kept', async () => {
  await using(
    postgres.connection('keyward_store'),
    async (pool) => {
      await pool.query('CREATE TABLE rolled (n int)');
      const pid = await pidOf(pool);
      const failures = [
        [() => Promise.reject(new RangeError('changed my mind')), RangeError],
        [(client: PoolClient) => client.query('SELECT 1/0'), { code: '22012' }],
      ] as const;
      for (const [fail, error] of failures) {
        const work = withTransaction(pool, async (client) => {
          await client.query('INSERT INTO rolled VALUES (1)');
          await fail(client);
        });
        await assert.rejects(work, error);
        assert.equal((await pool.query('SELECT FROM rolled')).rowCount, 0);
        assert.equal(await pidOf(pool), pid);
      }
    },
    1,
  );
});

test('[S1] a connection that breaks within a transaction is replaced, and what broke it is reported', async () => {
  await using(
    postgres.connection('keyward_store'),
    async (pool) => {
      let broken: number | undefined;
      const work = withTransaction(pool, async (client) => {
        broken = await pidOf(client);
        await client.query('SELECT pg_terminate_backend(pg_backend_pid())');
      });
      await assert.rejects(work, { code: 'DB_UNAVAILABLE' });
      assert.notEqual(await pidOf(pool), broken);
    },
    1,
  );
});

test('[L1] every pool waits for the disk at commit, whatever its role is set to', async () => {
  await using(postgres.connection(), (pool) => pool.query('ALTER ROLE keyward_store SET synchronous_commit = off'));
  const rows = await using(connectionFor(postgres.paths, 'store'), (pool) => pool.query('SHOW synchronous_commit'));
  assert.deepEqual(rows.rows, [{ synchronous_commit: 'on' }]);
});

test('[S1] failures of the connection are told apart from failures of the statement', async () => {
  const statement = Object.assign(new Error('x'), { code: '23505' });
  assert.equal(mapDbError(statement), statement);
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  assert.equal((mapDbError(refused) as { code: string }).code, 'DB_UNAVAILABLE');
});

test('[S1] a pool outlives a crash of the server: unavailable meanwhile, working afterwards', async () => {
  const { paths, pid } = postgres;
  await using(connectionFor(paths, 'store'), async (pool) => {
    await pool.query('SELECT 1');
    const running = withClient(pool, (client) => client.query('SELECT pg_sleep(30)'));
    setTimeout(() => process.kill(pid, 'SIGKILL'), 100);
    await assert.rejects(running, { code: 'DB_UNAVAILABLE' });
    await assert.rejects(
      withClient(pool, (client) => client.query('SELECT 1')),
      { code: 'DB_UNAVAILABLE' },
    );
    const log = createLog('test', { write: () => undefined });
    const { password } = superuserConnection(paths);
    const again = await startEmbeddedPostgres({ paths, superuserPassword: password, log, onNotice: () => undefined });
    try {
      assert.equal((await withClient(pool, (client) => client.query('SELECT 1'))).rowCount, 1);
    } finally {
      await again.stop();
    }
  });
});
