/** One conversation with the database: writes of a transaction wait until something is read, and go as one statement. */
import type pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardError } from '../core/index.ts';
import { mapDbError, withTransaction } from '../db/index.ts';
import { flushStatement, type Write } from './writes.ts';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Prepared under this name; only for texts that never vary. */
  readonly name?: string;
}

export interface Session {
  query<Row extends pg.QueryResultRow>(statement: Statement): Promise<Row[]>;
  /** Outside a transaction it is durable when this resolves; inside, at the latest with the commit. */
  write(write: Write): Promise<void>;
  /** All or nothing; within a transaction, part of it. `work` may run several times. */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** SQLSTATEs after which the same work may succeed: deadlock, and two that wrote the same version. */
const RETRY_STATES: readonly unknown[] = ['40P01', '23505'];
const MAX_ATTEMPTS = 6;
const RETRY_PAUSE_MS = 15;

export function openSession(pool: pg.Pool): Session {
  return {
    query: (statement) => run(pool, statement),
    write: async (write) => void (await run(pool, flushStatement([write]))),
    transaction: (work) => withRetry(() => withTransaction(pool, (client) => transact(client, work))),
  };
}

async function transact<T>(client: pg.PoolClient, work: (session: Session) => Promise<T>): Promise<T> {
  const { session, flush } = transactionSession(client);
  const result = await work(session);
  await flush();
  return result;
}

function transactionSession(client: pg.PoolClient): { session: Session; flush: () => Promise<void> } {
  let waiting: Write[] = [];
  const flush = async () => {
    if (waiting.length === 0) return;
    const writes = waiting;
    waiting = [];
    await run(client, flushStatement(writes));
  };
  const session: Session = {
    query: async (statement) => {
      await flush();
      return run(client, statement);
    },
    write: async (write) => void waiting.push(write),
    transaction: (within) => within(session),
  };
  return { session, flush };
}

async function run<Row extends pg.QueryResultRow>(on: pg.Pool | pg.PoolClient, statement: Statement): Promise<Row[]> {
  try {
    const { rows } = await on.query<Row>({ ...statement, values: [...statement.values] });
    return rows;
  } catch (error) {
    throw mapDbError(error);
  }
}

async function withRetry<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!RETRY_STATES.includes((error as { code?: unknown }).code)) throw error;
      if (attempt === MAX_ATTEMPTS) throw new KeywardError('STORE_CONTENDED', { cause: error });
      await sleep(attempt * RETRY_PAUSE_MS);
    }
  }
}
