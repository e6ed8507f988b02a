/** Connections to PostgreSQL that outlive its restarts, and what their failures mean. */
import { DatabaseError, Pool, type PoolClient } from 'pg';
import { KeywardError } from '../core/index.ts';
import type { ConnectionConfig } from './connection.ts';

/** How long a caller may wait for a connection before the database counts as unavailable. */
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;

export interface PoolOptions {
  /** Most connections this pool opens. */
  readonly max: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
}

/** A pool that replaces broken connections by itself; no failure of a connection ends the process. */
export function openPool(config: ConnectionConfig, options: PoolOptions): Pool {
  const pool = new Pool({
    ...config,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    // What was acknowledged is on disk, whatever the server or the role is set to.
    options: '-c synchronous_commit=on',
  });
  // Whoever uses a broken connection learns it from the failing query; the event alone would end the process.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  return pool;
}

const ignore = (): void => undefined;

/** Runs `work` on one connection. @throws KeywardError `DB_UNAVAILABLE`, or what `work` threw. */
export async function withClient<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  let client: PoolClient;
  try {
    client = await pool.connect();
  } catch (cause) {
    throw mapDbError(cause);
  }
  try {
    const result = await work(client);
    client.release();
    return result;
  } catch (error) {
    // The session's state is unknown now (a transaction may be open): close it instead of handing it on.
    client.release(true);
    throw mapDbError(error);
  }
}

/** Runs `work` in one transaction; whatever it throws rolls back. @throws KeywardError `DB_UNAVAILABLE`, or what `work` threw. */
export async function withTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const outcome = await withClient(pool, (client) => transact(client, work));
  if ('error' in outcome) throw mapDbError(outcome.error);
  return outcome.result;
}

/** What `work` threw is an outcome here: once rolled back, the connection is as good as before and is kept. */
async function transact<T>(
  client: PoolClient,
  work: (client: PoolClient) => Promise<T>,
): Promise<{ result: T } | { error: unknown }> {
  await client.query('BEGIN');
  try {
    const result = await work(client);
    await client.query('COMMIT');
    return { result };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => Promise.reject(error));
    return { error };
  }
}

/** System errors of a connection that is lost or was never made. */
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** SQLSTATEs (PostgreSQL, appendix A) of a server that cannot serve at the moment. */
const SERVER_CODES = new Set([
  '53300', // too_many_connections
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
]);

/** SQLSTATE class of connection exceptions. */
const CONNECTION_CLASS = '08';

/** Texts of errors that node-postgres throws without a code. */
const DRIVER_TEXT =
  /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error)/;

/** Failures of the connection as `DB_UNAVAILABLE`; anything else as it came. */
export function mapDbError(thrown: unknown): unknown {
  return isConnectionFailure(thrown) ? new KeywardError('DB_UNAVAILABLE', { cause: thrown }) : thrown;
}

function isConnectionFailure(thrown: unknown): boolean {
  if (thrown instanceof DatabaseError) {
    const code = thrown.code ?? '';
    return SERVER_CODES.has(code) || code.startsWith(CONNECTION_CLASS);
  }
  if (!(thrown instanceof Error)) return false;
  return NETWORK_CODES.has((thrown as NodeJS.ErrnoException).code ?? '') || DRIVER_TEXT.test(thrown.message);
}
