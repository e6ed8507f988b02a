/** What the tests of this room share: a real key database, a tenant of its own for each test, a ledger that can fail. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { KeySpec, KeyUse } from '@keyward/sdk/client';
import type { Pool } from 'pg';
import { startTestPostgres } from '../../../../test/support/postgres.ts';
import { type AuditEvent, type AuditSink, createLog, KeywardError, newUuid, systemClock } from '../core/index.ts';
import { migrate, openPool } from '../db/index.ts';
import { createCustodian, type Custodian, type CustodianOptions } from './custodian.ts';
import { KEYS_MIGRATIONS } from './migrations.ts';
import { localRoot } from './roots/local/local.ts';

export const TEST_USE: KeyUse = { purpose: 'TREAT', correlationId: newUuid(), actor: 'clinician-7' };

export const DAY_MS = 86_400_000;

export const dayFromNow = (days: number): string =>
  new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 'YYYY-MM-DD'.length);

export const subject = (uuid = newUuid()): KeySpec => ({ kind: 'subject', subject: uuid });

/** One of each kind. */
export const SPECS: Readonly<Record<KeySpec['kind'], KeySpec>> = {
  subject: subject(),
  tenant: { kind: 'tenant' },
  index: { kind: 'index', indexClass: 'family' },
  store: { kind: 'store' },
  cursor: { kind: 'cursor' },
  ledger: { kind: 'ledger', day: dayFromNow(0) },
  pseudonym: { kind: 'pseudonym' },
};

/** Runs a statement on the rows of a tenant's data keys, as someone who can write to the database would. */
export const tamperWith = (pool: Pool, tenant: string, set: string, where = 'true') =>
  pool.query(`UPDATE data_key SET ${set} WHERE tenant = $1 AND ${where}`, [tenant]);

/** Bounds that no test reaches. */
export const OWN_KEYS: CustodianOptions['ownKeys'] = {
  maxAgeMs: 60_000,
  maxHandouts: 1000,
  maxKeys: 10,
  now: () => performance.now(),
};

export interface KeyDatabase {
  readonly pool: Pool;
  readonly connection: ReturnType<Awaited<ReturnType<typeof startTestPostgres>>['connection']>;
  stop(): Promise<void>;
}

export async function startKeyDatabase(): Promise<KeyDatabase> {
  const postgres = await startTestPostgres();
  const connection = postgres.connection('keyward_keys');
  const pool = openPool(connection, { max: 8, applicationName: 'keys test' });
  await migrate(pool, 'keys', KEYS_MIGRATIONS);
  return {
    pool,
    connection,
    async stop() {
      await pool.end();
      await postgres.stop();
    },
  };
}

/** Keeps events in memory; fails while `down`. */
export interface MemoryLedger extends AuditSink {
  readonly events: AuditEvent[];
  down: boolean;
  /** What a call waits for before it keeps its events. */
  before: () => Promise<void>;
}

export function createMemoryLedger(): MemoryLedger {
  const events: AuditEvent[] = [];
  const ledger: MemoryLedger = {
    events,
    down: false,
    before: async () => undefined,
    async record(more) {
      await ledger.before();
      if (ledger.down) throw new KeywardError('LEDGER_UNAVAILABLE');
      for (const event of more) if (!events.some(({ id }) => id === event.id)) events.push(event);
    },
  };
  return ledger;
}

/** A directory that goes when the test ends. */
export function testDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'keyward-keys-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Lines of the log, so that a test can look for what must not stand there. */
export function testLog(lines: string[] = []): CustodianOptions['log'] {
  return createLog('test', { write: (line) => void lines.push(line) });
}

export interface TestCustodian {
  readonly custodian: Custodian;
  readonly ledger: MemoryLedger;
  readonly tenant: string;
  readonly rootFile: string;
  readonly logLines: string[];
  /** The same custodian after a restart of its process, with what is given changed. */
  readonly restart: (changes?: Partial<CustodianOptions>) => Promise<Custodian>;
}

/** A custodian with a tenant and a root key of its own. */
export async function startCustodian(context: TestContext, pool: Pool): Promise<TestCustodian> {
  const rootFile = join(testDirectory(context), 'root', 'root.key');
  const ledger = createMemoryLedger();
  const tenant = `t-${newUuid()}`;
  const logLines: string[] = [];
  const restart = async (changes: Partial<CustodianOptions> = {}) => {
    const root = await localRoot.open({ file: rootFile });
    return createCustodian({
      pool,
      root,
      audit: ledger,
      tenant,
      clock: systemClock,
      ownKeys: OWN_KEYS,
      log: testLog(logLines),
      ...changes,
    });
  };
  return { custodian: await restart(), ledger, tenant, rootFile, logLines, restart };
}
