/** One custodian leads: it alone runs jobs and the schedule. It holds an advisory lock of PostgreSQL, which ends with its connection. */
import { createHash } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import { asKeywardError, type Log } from '../../core/index.ts';
import { withClient } from '../../db/index.ts';
import { pause } from './runner.ts';

export interface LeaderOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly log: Log;
  /** How often the lock is tried, and whether it is still held is looked at. */
  readonly beatMs: number;
  /** Runs while this custodian leads; resolves soon after its signal ended. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
}

/** Resolves once `signal` has ended it and `lead` has resolved. */
export async function keepLeading(options: LeaderOptions, signal: AbortSignal): Promise<void> {
  const { pool, log, beatMs } = options;
  while (!signal.aborted) {
    try {
      await withClient(pool, (client) => leadOn(client, options, signal));
    } catch (error) {
      log.warn('leadership of the custodians lost', { code: asKeywardError(error).code });
    }
    await pause(beatMs, signal);
  }
}

/** Two that lead at once, as after a lost connection, only do the same work: every change is guarded by what it changes. */
async function leadOn(client: PoolClient, options: LeaderOptions, signal: AbortSignal): Promise<void> {
  const { tenant, beatMs, lead } = options;
  const key = lockKey(tenant);
  while (!(await tryLock(client, key))) {
    await pause(beatMs, signal);
    if (signal.aborted) return;
  }
  const ended = new AbortController();
  const leading = lead(AbortSignal.any([signal, ended.signal]));
  try {
    while (!signal.aborted) {
      await client.query('SELECT 1');
      await pause(beatMs, signal);
    }
  } finally {
    ended.abort();
    await leading;
  }
  await client.query('SELECT pg_advisory_unlock($1)', [key]);
}

async function tryLock(client: PoolClient, key: string): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>('SELECT pg_try_advisory_lock($1) AS held', [key]);
  return rows[0]?.held === true;
}

/** Eight bytes, as PostgreSQL takes them. */
const lockKey = (tenant: string): string =>
  createHash('sha256').update(`keyward/custodian/leader/1\n${tenant}`).digest().readBigInt64BE().toString();
