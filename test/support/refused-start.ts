/** A start that must fail: one line and a hint, a status, no stack, and nothing left running. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dataPaths, type ErrorCode, ERRORS } from '../../packages/server/src/core/index.ts';
import { runningOn } from './processes.ts';
import { MAIN } from './product.ts';

/** Generous: the machine may be busy with other tests. A start that hangs is killed then, and fails the test. */
const END_LIMIT_MS = 40_000;

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs this runtime to its end. */
export function runToEnd(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: END_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, ...said })));
}

export interface Refusal {
  readonly dataDir: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly code: ErrorCode;
  /** What the line must name. */
  readonly names: RegExp;
}

export async function assertRefused({ dataDir, args = [], env = {}, code, names }: Refusal): Promise<void> {
  const { status, out, err } = await runToEnd([MAIN, 'up', '--data-dir', dataDir, ...args], env);
  const { exit, hint } = ERRORS[code];
  assert.match(err, new RegExp(`^error: ${code} [^\\n]+\\nhint: [^\\n]+\\n$`), out);
  assert.ok(err.endsWith(`hint: ${hint}\n`), err);
  assert.match(err, names);
  assert.doesNotMatch(out + err, /\n\s+at |is ready/);
  assert.equal(status, exit);
  await assertNothingRuns(dataDir);
}

/** No process of Keyward, and no PostgreSQL: it takes its lock file away when it stops in order. */
export async function assertNothingRuns(dataDir: string): Promise<void> {
  assert.deepEqual(await runningOn(dataDir), []);
  assert.ok(!existsSync(join(dataPaths(dataDir).postgres, 'postmaster.pid')), 'PostgreSQL was not stopped');
}
