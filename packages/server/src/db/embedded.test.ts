/** Tests of the embedded server: the real one, in a directory only its owner can enter. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { readOrCreateSecret } from '../config/index.ts';
import { createLog, type DataPaths, dataPaths } from '../core/index.ts';
import { superuserConnection } from './connection.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded.ts';

const NEEDS_ROOT = { skip: process.getuid?.() === 0 ? false : 'only root can run programs as another user' };

const SILENT = createLog('test', { write: () => undefined });

const directories: string[] = [];
const servers: EmbeddedPostgres[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true, force: true });
});

function scratch(): DataPaths {
  const directory = fs.mkdtempSync(join(tmpdir(), 'keyward-embedded-'));
  directories.push(directory);
  return dataPaths(join(directory, 'data'));
}

async function start(paths: DataPaths, onNotice: (line: string) => void = () => undefined): Promise<EmbeddedPostgres> {
  const superuserPassword = readOrCreateSecret(paths, 'db-superuser');
  const server = await startEmbeddedPostgres({ paths, superuserPassword, log: SILENT, onNotice });
  servers.push(server);
  return server;
}

async function query(paths: DataPaths, text: string): Promise<unknown[][]> {
  const client = new Client(superuserConnection(paths));
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

const DURABLE_AND_LOCAL = [
  ['listen_addresses', '127.0.0.1'],
  ['unix_socket_directories', ''],
  ['data_checksums', 'on'],
  ['fsync', 'on'],
  ['full_page_writes', 'on'],
  ['synchronous_commit', 'on'],
  ['server_encoding', 'UTF8'],
  ['password_encryption', 'scram-sha-256'],
] as const;

test('[S1] a first start makes a durable cluster that only this host reaches', async () => {
  const paths = scratch();
  await start(paths);
  for (const [name, value] of DURABLE_AND_LOCAL) assert.deepEqual(await query(paths, `SHOW ${name}`), [[value]], name);
  assert.deepEqual(await query(paths, `SELECT DISTINCT auth_method FROM pg_hba_file_rules`), [['scram-sha-256']]);
  assert.deepEqual(fs.readdirSync(paths.secrets), ['db-superuser'], 'no password file is left');
});

test('[S1] as root, PostgreSQL runs as an unprivileged user and one line says so', NEEDS_ROOT, async () => {
  const paths = scratch();
  const notices: string[] = [];
  const { pid } = await start(paths, (line) => void notices.push(line));
  const uid = Number(/^Uid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  assert.notEqual(uid, 0);
  assert.equal(fs.statSync(paths.postgres).uid, uid);
  assert.equal(fs.statSync(paths.root).uid, 0, 'nothing but the cluster was given away');
  assert.equal(notices.length, 1);
  assert.match(notices[0] ?? '', /runs as user "(postgres|nobody)"/);
});

test('[S1] after a stop it starts again on the same port with its data', async () => {
  const paths = scratch();
  const first = await start(paths);
  await query(paths, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.stop();
  assert.equal(await first.exited, 0);
  const second = await start(paths);
  assert.equal(second.port, first.port);
  assert.deepEqual(await query(paths, 'SELECT answer FROM kept'), [[42]]);
});

test('[S1] after a kill -9 of the server it recovers what was committed', async () => {
  const paths = scratch();
  const first = await start(paths);
  await query(paths, 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
  process.kill(first.pid, 'SIGKILL');
  assert.equal(await first.exited, null);
  await start(paths);
  assert.deepEqual(await query(paths, 'SELECT count(*)::int FROM kept'), [[1000]]);
});

test('[S1] a server left over from a killed supervisor is stopped and replaced', async () => {
  const paths = scratch();
  const leftover = await start(paths);
  const second = await start(paths);
  assert.equal(await leftover.exited, 0);
  assert.notEqual(second.pid, leftover.pid);
  assert.deepEqual(await query(paths, 'SELECT 1'), [[1]]);
});

test('[S1] a lock file whose process id belongs to somebody else now does not keep it from starting', async (t) => {
  const paths = scratch();
  const first = await start(paths);
  const lockFile = join(paths.postgres, 'postmaster.pid');
  const stale = fs.readFileSync(lockFile, 'utf8');
  await first.stop();
  const bystander = await sleepAsOwnerOf(t, paths.postgres);
  fs.writeFileSync(lockFile, stale.replace(/^\d+/, String(bystander.pid)));
  await start(paths);
  assert.equal(bystander.exitCode ?? bystander.signalCode, null, 'the bystander was not touched');
});

/** A process PostgreSQL itself would take for a running server: alive and of the same user. */
async function sleepAsOwnerOf(t: TestContext, path: string): Promise<ChildProcess> {
  const { uid, gid } = fs.statSync(path);
  const child = spawn('sleep', ['60'], { stdio: 'ignore', ...(process.getuid?.() === 0 ? { uid, gid } : {}) });
  t.after(() => child.kill());
  await new Promise((resolve, reject) => child.once('spawn', () => resolve(undefined)).once('error', reject));
  return child;
}

test('[S1] a first start that was killed half-way is begun anew', async () => {
  const paths = scratch();
  fs.mkdirSync(join(`${paths.postgres}.draft`, 'base'), { recursive: true });
  await start(paths);
  assert.equal(fs.existsSync(`${paths.postgres}.draft`), false);
});

test('[S1] a data directory that cannot be made is one coded error', async () => {
  const file = `${scratch().root}.file`;
  fs.writeFileSync(file, '');
  const inputs = { superuserPassword: 'unused', log: SILENT, onNotice: () => undefined };
  await assert.rejects(startEmbeddedPostgres({ ...inputs, paths: dataPaths(join(file, 'data')) }), {
    code: 'UP_DATA_DIR',
  });
});

test('[P2] no value of a statement reaches the log of the server, not even when it fails', async () => {
  const paths = scratch();
  await start(paths);
  await query(paths, 'CREATE TABLE patients (name text PRIMARY KEY, born date CHECK (born > date $$1900-01-01$$))');
  await query(paths, `INSERT INTO patients VALUES ('Canary-Kept', NULL)`);
  const failing = [
    `INSERT INTO patients VALUES ('Canary-Kept', NULL)`,
    `INSERT INTO patients VALUES ('Canary-Check', '1800-01-01')`,
    `SELECT 'Canary-Cast'::uuid`,
    `SELECT * FROM "Canary-Table"`,
    `DO $$ BEGIN RAISE EXCEPTION 'Canary-Raised'; END $$`,
  ];
  for (const text of failing) await assert.rejects(query(paths, text));
  await crashOneSession(paths, `SELECT pg_sleep(30), 'Canary-Crash'`);
  const log = await logOnceItSays(paths, 'was terminated by signal 9');
  assert.doesNotMatch(log, /Canary/);
});

/** The server logs the statement of a session that dies, unless told otherwise. */
async function crashOneSession(paths: DataPaths, text: string): Promise<void> {
  const client = new Client(superuserConnection(paths));
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const running = client.query(text);
  const pid = rows[0]?.pid ?? assert.fail('no backend');
  setTimeout(() => process.kill(pid, 'SIGKILL'), 100);
  await assert.rejects(running);
}

async function logOnceItSays(paths: DataPaths, words: string): Promise<string> {
  for (const end = performance.now() + 10_000; performance.now() < end; await sleep(20)) {
    const log = fs.readFileSync(join(paths.logs, 'postgres.log'), 'utf8');
    if (log.includes(words)) return log;
  }
  return assert.fail(`the log never says: ${words}`);
}

const ORDINARY_USER_PROGRAM = `
  import { mkdtempSync, rmSync } from 'node:fs';
  const [core, db] = await Promise.all([import(process.argv[1] + '/core/index.ts'), import(process.argv[1] + '/db/index.ts')]);
  const directory = mkdtempSync('/tmp/keyward-ordinary-');
  const notices = [];
  const server = await db.startEmbeddedPostgres({
    paths: core.dataPaths(directory), superuserPassword: 'ordinary', log: core.createLog('test', { write() {} }),
    onNotice: (line) => notices.push(line),
  });
  await server.stop();
  rmSync(directory, { recursive: true });
  console.log(JSON.stringify({ uid: process.getuid(), exit: await server.exited, notices }));`;

test('[S1] an ordinary user runs it as itself, without a notice', NEEDS_ROOT, (context) => {
  const args = ['--input-type=module', '-e', ORDINARY_USER_PROGRAM, join(import.meta.dirname, '..')];
  const nobody = { uid: 65_534, gid: 65_534, cwd: '/', encoding: 'utf8' } as const;
  if (spawnSync(process.execPath, ['--version'], nobody).status !== 0) {
    return context.skip('skipped: the sources lie where another user cannot reach them');
  }
  const { stdout, stderr } = spawnSync(process.execPath, args, nobody);
  assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), { uid: 65_534, exit: 0, notices: [] });
});
