/** The program itself, run by hand or under a supervisor, as far as it gets without an instance. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';

const MAIN = join(import.meta.dirname, 'main.ts');
const folder = mkdtempSync(join(tmpdir(), 'keyward-main-'));
after(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly env?: Readonly<Record<string, string>>;
  /** Whether a supervisor listens. */
  readonly supervised?: boolean;
}

async function runMain(args: readonly string[], { env = {}, supervised = false }: Run = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', ...(supervised ? (['ipc'] as const) : [])],
  });
  const told: unknown[] = [];
  child.on('message', (message) => told.push(message));
  const { stdout, stderr } = child;
  assert.ok(stdout && stderr);
  const [out, err, [status]] = await Promise.all([text(stdout), text(stderr), once(child, 'close')]);
  return { status: status as number, out, err, told };
}

test('[S1] every process is a verb with help and an example', async () => {
  const { status, out } = await runMain(['--help']);
  assert.equal(status, 0);
  const [, listed = ''] = out.split('Run one process by itself:\n');
  assert.deepEqual(
    listed.split('\n').flatMap((line) => /^ {2}([a-z]+) \[options\]/.exec(line)?.[1] ?? []),
    ['custodian', 'store', 'gateway', 'admin'],
  );
  assert.match((await runMain(['store', '--help'])).out, /Example:\n {2}\$ keyward store /);
});

test('[S1] an unknown option of a process is refused with one error and one hint', async () => {
  const { status, err } = await runMain(['custodian', '--port', '1']);
  assert.equal(status, 2);
  assert.match(err, /^error: CLI_USAGE [^\n]+--port[^\n]+\nhint: [^\n]+\n$/);
});

test('[S1] a process run by hand says why it cannot start, and reads its place from the environment', async () => {
  const config = join(folder, 'none.yaml');
  const unreadable = await runMain(['gateway'], { env: { KEYWARD_CONFIG: config } });
  assert.equal(unreadable.status, 2);
  assert.match(unreadable.err, /^error: CONFIG_UNREADABLE [^\n]+\nhint: [^\n]+\n$/);
  const never = await runMain(['gateway'], { env: { KEYWARD_DATA_DIR: join(folder, 'never') } });
  assert.equal(never.status, 4);
  assert.match(never.err, /^error: DB_UNAVAILABLE [^\n]+\nhint: [^\n]+\n$/);
  assert.ok(!existsSync(join(folder, '.keyward')), 'it looked in the default directory');
});

test('[S1] a process under a supervisor tells it alone why it cannot start', async () => {
  const config = join(folder, 'none.yaml');
  const { status, err, told } = await runMain(['gateway', '--config', config], { supervised: true });
  assert.deepEqual(told, [{ failed: { code: 'CONFIG_UNREADABLE' } }]);
  assert.deepEqual([status, err], [2, '']);
});
