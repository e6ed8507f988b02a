/** The embedded PostgreSQL as the supervisor keeps it: started, provisioned, migrated, started again. */
import { readOrCreateSecret } from '../config/index.ts';
import { type DataPaths, KeywardError, type Log } from '../core/index.ts';
import {
  connectionFor,
  type ConnectionConfig,
  type EmbeddedPostgres,
  migrate,
  type Migration,
  openPool,
  provision,
  startEmbeddedPostgres,
  superuserConnection,
} from '../db/index.ts';
import { KEYS_MIGRATIONS } from '../keys/index.ts';
import { LEDGER_MIGRATIONS } from '../ledger/index.ts';
import { STORE_MIGRATIONS } from '../store/index.ts';

export interface Database {
  /** Resolves when the server has ended, with whether that was wanted. */
  ended(): Promise<'stopped' | 'died'>;
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

/** `fillKeys` puts the tables into the key database; a restore puts the restored keys there, too. */
export async function startDatabase(
  paths: DataPaths,
  log: Log,
  say: (line: string) => void,
  fillKeys: () => Promise<void> = () => migrateAt(connectionFor(paths, 'custodian'), 'keys', KEYS_MIGRATIONS),
): Promise<Database> {
  const start = (onNotice: (line: string) => void) =>
    startEmbeddedPostgres({ paths, superuserPassword: readOrCreateSecret(paths, 'db-superuser'), log, onNotice });
  let server: EmbeddedPostgres = await start(say);
  let stopping = false;
  try {
    await prepareDatabases(paths, fillKeys);
  } catch (error) {
    await server.stop();
    throw preparationFailure(error);
  }
  return {
    ended: async () => {
      await server.exited;
      return stopping ? 'stopped' : 'died';
    },
    startAgain: async () => {
      server = await start(() => undefined);
      // Asked to stop while it was starting.
      if (stopping) await server.stop();
    },
    stop: () => {
      stopping = true;
      return server.stop();
    },
  };
}

/** What PostgreSQL answers (SQLSTATE, its Appendix A) when the databases cannot be made ready, and what that means here. */
const PREPARATION_FAILURES: Readonly<Record<string, string>> = {
  '28P01': 'The database does not accept the passwords in secrets/: restore that folder.',
  '53100': 'There is no space left for the database.',
};

function preparationFailure(cause: unknown): KeywardError {
  if (cause instanceof KeywardError) return cause;
  const known = PREPARATION_FAILURES[String((cause as { code?: unknown }).code)];
  if (known !== undefined) return new KeywardError('UP_DATA_DIR', { detail: known, cause });
  const detail = 'The databases could not be made ready; logs/postgres.log tells why.';
  return new KeywardError('UP_CHILD_FAILED', { detail, cause });
}

async function prepareDatabases(paths: DataPaths, fillKeys: () => Promise<void>): Promise<void> {
  const passwords = {
    custodian: readOrCreateSecret(paths, 'db-custodian'),
    'ledger-writer': readOrCreateSecret(paths, 'db-ledger-writer'),
    'ledger-reader': readOrCreateSecret(paths, 'db-ledger-reader'),
    store: readOrCreateSecret(paths, 'db-store'),
  };
  await provision({ admin: superuserConnection(paths), passwords });
  await fillKeys();
  await migrateAt(superuserConnection(paths, 'keyward_ledger'), 'ledger', LEDGER_MIGRATIONS);
  await migrateAt(connectionFor(paths, 'store'), 'store', STORE_MIGRATIONS);
}

async function migrateAt(
  connection: ConnectionConfig,
  component: string,
  migrations: readonly Migration[],
): Promise<void> {
  const pool = openPool(connection, { max: 1, applicationName: `keyward migrate ${component}` });
  try {
    await migrate(pool, component, migrations);
  } finally {
    await pool.end();
  }
}
