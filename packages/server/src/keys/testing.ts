/** What the tests of this room share: a real key database, a tenant of its own for each test, a ledger that can fail. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type KeySpec, type KeyUse, scopeOf } from '@keyward/sdk/client';
import type { Pool } from 'pg';
import { startTestPostgres } from '../../../../test/support/postgres.ts';
import { type AuditEvent, type AuditSink, createLog, KeywardError, newUuid, systemClock } from '../core/index.ts';
import { migrate, openPool } from '../db/index.ts';
import { createCustodian, type Custodian, type CustodianOptions } from './custodian.ts';
import type { Caller } from './grants.ts';
import { KEYS_MIGRATIONS } from './migrations.ts';
import { query } from './query.ts';
import { localRoot } from './roots/local/local.ts';

/** Stands for the tenant of whichever test it is used in. */
const ANY_TENANT = 'of-the-test';

/** A use that fits: what it leaves open, a custodian of `startCustodian` fills in. Tests of what is stated write their own. */
export const TEST_USE: KeyUse = {
  tenant: ANY_TENANT,
  subjects: [],
  purpose: 'TREAT',
  correlationId: newUuid(),
  actor: 'clinician-7',
};

/** The tenant of the test, whichever patients there are or are asked for, and the purpose that every process may have. */
function stating(custodian: Custodian, pool: Pool, tenant: string): Custodian {
  const complete = async (caller: Caller, use: KeyUse, specs: readonly KeySpec[]): Promise<KeyUse> => {
    if (use.tenant !== ANY_TENANT) return use;
    const select = "SELECT scope FROM data_key WHERE tenant = $1 AND kind = 'subject'";
    const rows = await query<{ scope: string }>(pool, select, [tenant]);
    const subjects = [...rows.map(({ scope }) => scope), ...specs.map(scopeOf)];
    return { ...use, tenant, subjects, purpose: caller === 'gateway' ? use.purpose : 'SYSTEM' };
  };
  const own = custodian.ownLedgerKeys();
  const stated: Pick<Custodian, 'protect' | 'process' | 'ownLedgerKeys'> = {
    protect: async (caller, specs, use, seals) =>
      custodian.protect(caller, specs, await complete(caller, use, specs), seals),
    process: async (caller, ids, use) => custodian.process(caller, ids, await complete(caller, use, [])),
    ownLedgerKeys: () => ({
      protect: async (specs, use, seals) => own.protect(specs, await complete('custodian', use, specs), seals),
      process: async (ids, use) => own.process(ids, await complete('custodian', use, [])),
    }),
  };
  return { ...custodian, ...stated };
}

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

export const CRYPTOPERIOD_DAYS: CustodianOptions['cryptoperiodDays'] = { kek: 90, data: 90, root: 365, signing: 365 };

/** More keys than a test asks for. */
export const RATE_LIMIT: CustodianOptions['rateLimit'] = {
  perSecond: 1_000_000,
  burst: 1_000_000,
  now: () => performance.now(),
};

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
    const custodian = await createCustodian({
      pool,
      root,
      audit: ledger,
      tenant,
      clock: systemClock,
      rateLimit: RATE_LIMIT,
      ownKeys: OWN_KEYS,
      waitingMs: 7 * DAY_MS,
      cryptoperiodDays: CRYPTOPERIOD_DAYS,
      backupDirectory: join(rootFile, '..', '..', 'backups'),
      log: testLog(logLines),
      ...changes,
    });
    return stating(custodian, pool, changes.tenant ?? tenant);
  };
  return { custodian: await restart(), ledger, tenant, rootFile, logLines, restart };
}
