/** A custodian that runs jobs and schedule in a process of its own, for tests that kill it. Settings as JSON in the first argument. */
import { join } from 'node:path';
import { systemClock } from '../../core/index.ts';
import { openPool } from '../../db/index.ts';
import { createCustodian, type CustodianOptions } from '../custodian.ts';
import { localRoot } from '../roots/local/local.ts';
import { createMemoryLedger, CRYPTOPERIOD_DAYS, type KeyDatabase, OWN_KEYS, RATE_LIMIT, testLog } from '../testing.ts';

export interface JobsChildSettings {
  readonly connection: KeyDatabase['connection'];
  readonly directory: string;
  readonly tenant: string;
  /** Root key files in that directory: the one there is, and the one to move to. */
  readonly roots: readonly [now: string, next: string];
}

/** Small steps, so that there is much to be interrupted; nobody waits long for a custodian that was killed. */
const TIMING: NonNullable<CustodianOptions['timing']> = {
  pollMs: 10,
  tickMs: 20,
  beatMs: 50,
  aliveMs: 200,
  distributionMs: 60_000,
  busyMs: 2,
  dutyShare: 0.5,
  batchKeys: 20,
};

/** Also without a process of its own: what orders the jobs. Nothing waits between the order of a destruction and its end. */
export async function openJobsCustodian({ connection, directory, tenant, roots }: JobsChildSettings) {
  const pool = openPool(connection, { max: 4, applicationName: 'key jobs test child' });
  const custodian = await createCustodian({
    pool,
    root: await localRoot.open({ file: join(directory, roots[0]) }),
    nextRoot: await localRoot.open({ file: join(directory, roots[1]) }),
    audit: createMemoryLedger(),
    tenant,
    clock: systemClock,
    cryptoperiodDays: CRYPTOPERIOD_DAYS,
    waitingMs: 0,
    timing: TIMING,
    backupDirectory: join(directory, 'backups'),
    rateLimit: RATE_LIMIT,
    ownKeys: OWN_KEYS,
    log: testLog(),
  });
  return { custodian, pool };
}

if (import.meta.main) {
  const { custodian } = await openJobsCustodian(JSON.parse(process.argv[2]!) as JobsChildSettings);
  custodian.jobs.start();
  process.stdout.write('ready\n');
}
