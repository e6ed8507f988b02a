/** One running PostgreSQL server: what its lock file says, how it is started, waited for and stopped. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunAs } from './cluster.ts';

/**
 * Both together stay below the ten seconds container engines give by default. The second is needed: PostgreSQL 18 ignores a
 * fast shutdown while it recovers from the crash of a session. What it did not write then, it recovers at the next start.
 */
const FAST_STOP_MS = 6_000;
const IMMEDIATE_STOP_MS = 2_000;
const POLL_MS = 20;

/** `postmaster.pid` (src/include/utils/pidfile.h of PostgreSQL). */
interface LockFile {
  readonly pid: number;
  /** e.g. `starting`, `ready`, `stopping`. */
  readonly status: string;
}

const LOCK_FILE = 'postmaster.pid';

function readLockFile(clusterDir: string): LockFile | undefined {
  try {
    const lines = fs.readFileSync(join(clusterDir, LOCK_FILE), 'utf8').split('\n');
    const pid = Number(lines[0]);
    return Number.isInteger(pid) && pid > 1 ? { pid, status: lines[7]?.trim() ?? '' } : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Makes way for a start: stops the server a killed supervisor left behind, and removes a lock file whose process id now
 * belongs to somebody else (likely in containers), which PostgreSQL itself would take for a running server.
 */
export async function clearLeftovers(clusterDir: string): Promise<void> {
  const lock = readLockFile(clusterDir);
  if (!lock || !isAlive(lock.pid)) return;
  if (isServerOf(lock.pid, clusterDir)) await stopProcess(lock.pid, () => isAlive(lock.pid));
  else fs.rmSync(join(clusterDir, LOCK_FILE));
}

/** A server's working directory is its cluster; where /proc does not tell, its command line names the cluster. */
function isServerOf(pid: number, clusterDir: string): boolean {
  if (process.platform !== 'linux') return commandLine(pid).includes(` -D ${clusterDir} `);
  try {
    const home = fs.readlinkSync(`/proc/${pid}/cwd`);
    return home === fs.realpathSync(clusterDir) && basename(fs.readlinkSync(`/proc/${pid}/exe`)).startsWith('postgres');
  } catch {
    return false;
  }
}

const commandLine = (pid: number): string =>
  spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Dead, and not yet collected by its parent. */
function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false;
  return /^\d+ \(.*\) Z/s.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** Signals of a stop, in order, and how long each may take (PostgreSQL, "Shutting Down the Server"). */
const STOP_SIGNALS = [
  { signal: 'SIGINT', waitMs: FAST_STOP_MS },
  { signal: 'SIGQUIT', waitMs: IMMEDIATE_STOP_MS },
  { signal: 'SIGKILL', waitMs: IMMEDIATE_STOP_MS },
] as const;

async function stopProcess(pid: number, alive: () => boolean): Promise<void> {
  for (const { signal, waitMs } of STOP_SIGNALS) {
    if (!alive()) return;
    sendSignal(pid, signal);
    for (const end = performance.now() + waitMs; alive() && performance.now() < end; ) await sleep(POLL_MS);
  }
}

/** It may have ended by itself meanwhile. */
function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export interface Postmaster {
  readonly pid: number;
  /** Exit status; null after a signal. */
  readonly exited: Promise<number | null>;
  /** Resolves when it accepts connections, also after crash recovery; false when it ended instead. */
  ready(): Promise<boolean>;
  stop(): Promise<void>;
}

export interface PostmasterInputs {
  readonly postgres: string;
  readonly args: readonly string[];
  readonly runAs: RunAs;
  /** Open file that takes its log. */
  readonly logFile: number;
}

/** In a session of its own, so that Ctrl-C in a terminal does not stop it before those who use it. */
export async function startPostmaster(inputs: PostmasterInputs): Promise<Postmaster> {
  const { cwd, identity } = inputs.runAs;
  const stdio = ['ignore', inputs.logFile, inputs.logFile] as const;
  const child = spawn(inputs.postgres, inputs.args, { cwd, env: {}, detached: true, stdio: [...stdio], ...identity });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const pid = await spawned(child);
  const alive = () => child.exitCode === null && child.signalCode === null;
  return {
    pid,
    exited,
    ready: () => becomesReady(cwd, pid, alive),
    stop: () => stopProcess(pid, alive),
  };
}

function spawned(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => resolve(child.pid as number));
  });
}

async function becomesReady(clusterDir: string, pid: number, alive: () => boolean): Promise<boolean> {
  for (;;) {
    const lock = readLockFile(clusterDir);
    if (lock?.pid === pid && lock.status === 'ready') return true;
    if (!alive()) return false;
    await sleep(POLL_MS);
  }
}
