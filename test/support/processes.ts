/** The processes of a running product, found from outside and ended as a crash would end them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MAIN, type Product } from './product.ts';

const POLL_MS = 20;

/** Everything below the supervisor. */
export const CHILDREN = ['custodian', 'store', 'gateway', 'admin', 'postgres'] as const;
export type ChildName = (typeof CHILDREN)[number];

/** Undefined while it is not running. */
export async function pidOf(product: Product, name: ChildName): Promise<number | undefined> {
  if (name === 'postgres') return postmasterPid(product);
  const command = `${MAIN} ${name} --data-dir ${product.dataDir}`;
  const found = (await processTable()).find(({ parent, args }) => parent === product.pid && args.includes(command));
  return found?.pid;
}

/** Command lines of what runs on a data directory; PostgreSQL is found by its lock file instead. */
export async function runningOn(dataDir: string): Promise<string[]> {
  return (await processTable()).map(({ args }) => args).filter((args) => args.includes(`--data-dir ${dataDir}`));
}

async function processTable() {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'pid=,ppid=,args='], { maxBuffer: 1 << 24 });
  return stdout.split('\n').map((line) => {
    const [, pid, parent, args = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return { pid: Number(pid), parent: Number(parent), args };
  });
}

/** `postmaster.pid`: the first line is the process, the eighth its state; a killed server leaves the file behind. */
function postmasterPid({ paths }: Product): number | undefined {
  try {
    const lines = readFileSync(join(paths.postgres, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    return lines[7]?.trim() === 'ready' && isAlive(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Server processes of PostgreSQL that serve connections of one role. */
export async function backendsOf(product: Product, role: string): Promise<number[]> {
  const postmaster = postmasterPid(product);
  const found = (await processTable()).filter(
    ({ parent, args }) => parent === postmaster && args.includes(` ${role} `),
  );
  return found.map(({ pid }) => pid);
}

/** While `work` runs they neither work nor answer, as on a disk that hangs. */
export async function whileStopped(pids: readonly number[], work: () => Promise<void>): Promise<void> {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    await work();
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

/** SIGKILL to all at once: no process can finish anything or tell another. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

/** @throws when it is still there after `timeoutMs`. */
export async function untilGone(pid: number, timeoutMs: number): Promise<void> {
  for (const giveUpAt = performance.now() + timeoutMs; isAlive(pid); await sleep(POLL_MS)) {
    if (performance.now() > giveUpAt) throw new Error(`process ${pid} did not end within ${timeoutMs} ms`);
  }
}

/** @throws when nobody starts it within `timeoutMs`. */
export async function untilReplaced(
  product: Product,
  name: ChildName,
  killedPid: number,
  timeoutMs: number,
): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  for (let pid: number | undefined = killedPid; pid === undefined || pid === killedPid; ) {
    if (performance.now() > giveUpAt) throw new Error(`${name} was not started again within ${timeoutMs} ms`);
    await sleep(POLL_MS);
    pid = await pidOf(product, name);
  }
}
