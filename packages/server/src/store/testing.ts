/** A store on a real PostgreSQL for tests: started once per file, spoken to over its socket. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyService } from '@keyward/sdk/client';
import { type DataKey, generateDataKey } from '@keyward/sdk/seal';
import type pg from 'pg';
import { readOrCreateSecret } from '../config/index.ts';
import { type Clock, createLog, dataPaths, KeywardError, systemClock } from '../core/index.ts';
import { migrate, openPool, startEmbeddedPostgres, superuserConnection } from '../db/index.ts';
import { createStoreServer, STORE_MIGRATIONS } from './index.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Parsed body; tests look into it freely. */
  readonly json: Tree;
}

/** JSON as a tree that can be walked without asking at every step. */
export interface Tree {
  readonly [name: string]: Tree;
}

/** A leaf that must be a text. */
export function leaf(value: Tree | undefined): string {
  assert.equal(typeof value, 'string');
  return value as unknown as string;
}

export interface TestStore {
  readonly pool: pg.Pool;
  readonly socketPath: string;
  /** While true, the custodian answers nobody. */
  readonly custodian: { down: boolean };
  /** Lines the store logged. */
  readonly logged: string[];
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Every row of every table, as text. */
  dump(): Promise<string>;
  stop(): Promise<void>;
}

export async function startTestStore(clock: Clock = systemClock): Promise<TestStore> {
  const directory = mkdtempSync(join(tmpdir(), 'keyward-store-'));
  const paths = dataPaths(directory);
  const custodian = { down: false };
  const logged: string[] = [];
  const log = createLog('store', { write: (line) => void logged.push(line) });
  const superuserPassword = readOrCreateSecret(paths, 'db-superuser');
  const postgres = await startEmbeddedPostgres({ paths, superuserPassword, log, onNotice: () => undefined });
  const pool = openPool(superuserConnection(paths), { max: 8, applicationName: 'store test' });
  await migrate(pool, 'store', STORE_MIGRATIONS);
  const server = createStoreServer({ pool, keys: memoryKeys(custodian), tenant: 'test', clock, log });
  const socketPath = join(directory, 'store.sock');
  await server.listen(socketPath);
  return {
    pool,
    socketPath,
    custodian,
    logged,
    call: (method, path, body, headers = {}) => send(socketPath, method, path, body, headers),
    dump: () => dumpTables(pool),
    stop: async () => {
      await server.close();
      await pool.end();
      await postgres.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** A custodian's promise kept in memory: one key for each spec, found again by its id. */
function memoryKeys(custodian: { readonly down: boolean }): KeyService {
  const bySpec = new Map<string, DataKey>();
  const keyOf = (spec: string): DataKey => bySpec.get(spec) ?? bySpec.set(spec, generateDataKey()).get(spec)!;
  const byId = (id: string): DataKey => {
    const key = [...bySpec.values()].find((one) => one.id === id);
    if (!key) throw new KeywardError('KEYS_UNKNOWN_KEY');
    return key;
  };
  const whenUp = async <T>(answer: () => T): Promise<T> => {
    if (custodian.down) throw new KeywardError('KEYS_UNAVAILABLE');
    return answer();
  };
  return {
    protect: (specs) => whenUp(() => specs.map((spec) => keyOf(JSON.stringify(spec)))),
    process: (ids) => whenUp(() => ids.map(byId)),
  };
}

/** A string body goes out as it is; a form for `_search`, JSON otherwise. */
async function send(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpRequest({ socketPath, method, path, headers: { host: 'store', ...headers } }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const json = (text === '' ? {} : JSON.parse(text)) as Tree;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
    });
  });
  request.on('error', reject);
  request.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
  return promise;
}

async function dumpTables(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
  );
  const tables = await Promise.all(
    rows.map(({ name }) => pool.query<{ row: string }>(`SELECT t::text AS row FROM "${name}" t`)),
  );
  return tables.flatMap((table) => table.rows.map(({ row }) => row)).join('\n');
}
