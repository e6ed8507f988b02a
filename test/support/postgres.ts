/** A throwaway PostgreSQL for tests: the real embedded server in a directory of its own, gone when the test ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOrCreateSecret } from '../../packages/server/src/config/index.ts';
import { createLog, type DataPaths, dataPaths } from '../../packages/server/src/core/index.ts';
import {
  type ConnectionConfig,
  connectionFor,
  databasePasswords,
  provision,
  startEmbeddedPostgres,
  superuserConnection,
} from '../../packages/server/src/db/index.ts';

export interface TestPostgres {
  readonly paths: DataPaths;
  readonly pid: number;
  /** As the user who owns the database: the custodian for `keyward_keys`, the store for `keyward_store`, else the superuser. */
  connection(database?: string): ConnectionConfig;
  stop(): Promise<void>;
}

/** Takes about two seconds. All databases and roles of Keyward are there, without tables. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const dataDir = mkdtempSync(join(tmpdir(), 'keyward-test-'));
  const paths = dataPaths(dataDir);
  const server = await startEmbeddedPostgres({
    paths,
    superuserPassword: readOrCreateSecret(paths, 'db-superuser'),
    log: createLog('test', { write: () => undefined }),
    onNotice: () => undefined,
  });
  const remove = () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 10 });
  const abandon = () => {
    if (running) process.kill(server.pid, 'SIGKILL');
    remove();
  };
  let running = true;
  void server.exited.then(() => (running = false));
  process.once('exit', abandon);
  await provision({ admin: superuserConnection(paths), passwords: databasePasswords(paths) });
  return {
    paths,
    pid: server.pid,
    connection: (database = 'postgres') => ownerConnection(paths, database),
    stop: async () => {
      process.removeListener('exit', abandon);
      await server.stop();
      remove();
    },
  };
}

function ownerConnection(paths: DataPaths, database: string): ConnectionConfig {
  if (database === 'keyward_keys') return connectionFor(paths, 'custodian');
  if (database === 'keyward_store') return connectionFor(paths, 'store');
  return superuserConnection(paths, database);
}
