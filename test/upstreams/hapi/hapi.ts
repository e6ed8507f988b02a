/** HAPI FHIR's R4 JPA server on an embedded PostgreSQL of its own, in its default configuration. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { openPool } from '../../../packages/server/src/db/index.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import { freePorts } from '../../support/product.ts';
import type { ForeignServer } from '../foreign-server.ts';

const READY_TIMEOUT_MS = 180_000;
const POLL_MS = 100;

export interface Hapi extends ForeignServer {
  /** As the administrator of its database, who may change anything. */
  readonly sql: Sql;
  /** Everything it logged. */
  log(): string;
}

export type Sql = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

export interface Row {
  readonly [column: string]: unknown;
}

export async function startHapi(classPath: string): Promise<Hapi> {
  const postgres = await startTestPostgres();
  const connection = postgres.connection('postgres');
  const folder = mkdtempSync(join(tmpdir(), 'keyward-hapi-'));
  const [port = 0] = await freePorts(1);
  const child = spawn(
    'java',
    // The first compiler only: it starts faster, and no test lasts long enough for the second to pay.
    [
      '-Xmx1500m',
      '-XX:TieredStopAtLevel=1',
      `-Djava.io.tmpdir=${folder}`,
      '-cp',
      classPath,
      'HapiServer',
      String(port),
    ],
    {
      env: {
        PATH: process.env['PATH'],
        HAPI_DB_URL: `jdbc:postgresql://${connection.host}:${connection.port}/${connection.database}`,
        HAPI_DB_USER: connection.user,
        HAPI_DB_PASSWORD: connection.password,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const logFile = join(folder, 'hapi.log');
  const logStream = createWriteStream(logFile);
  for (const stream of [child.stdout, child.stderr]) stream.pipe(logStream, { end: false });
  process.once('exit', () => child.kill('SIGKILL'));
  await ready(child, logFile);
  const pool = openPool(connection, { max: 1, applicationName: 'tests' });
  const sql: Sql = async (text, values = []) => (await pool.query<Row>(text, [...values])).rows;
  return {
    url: `http://127.0.0.1:${port}/fhir`,
    sql,
    log: () => readFileSync(logFile, 'utf8'),
    written: async () => {
      await dump(sql, join(folder, 'tables.txt'));
      await sql('CHECKPOINT');
      return [folder, postgres.paths.root];
    },
    stop: async () => {
      await pool.end();
      await ended(child);
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ready(child: ChildProcess, logFile: string): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  const log = () => readFileSync(logFile, 'utf8');
  await sleep(POLL_MS);
  while (!log().includes('HAPI is ready')) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`HAPI is not ready:\n${log().slice(-5_000)}`);
    await sleep(POLL_MS);
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exited;
}

/** Every row and every large object as text: the files of PostgreSQL hold long values compressed. */
async function dump(sql: Sql, file: string): Promise<void> {
  const tables = await sql(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`);
  const texts: string[] = [];
  for (const { name } of tables) {
    const rows = await sql(`SELECT row_to_json(t)::text AS row FROM "${String(name)}" t`);
    texts.push(String(name), ...rows.map(({ row }) => String(row)));
  }
  const objects = await sql('SELECT lo_get(oid) AS bytes FROM pg_largeobject_metadata');
  texts.push(...objects.map(({ bytes }) => readable(bytes as Buffer)));
  writeFileSync(file, texts.join('\n'));
}

/** RFC 1952, section 2.3.1: how anything that gzip made begins. */
const GZIP = Buffer.from([0x1f, 0x8b]);
const readable = (bytes: Buffer): string =>
  (bytes.subarray(0, GZIP.length).equals(GZIP) ? gunzipSync(bytes) : bytes).toString('utf8');
