/** One supervised child process: started, waited for, started again when it dies, stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataPaths, type ErrorCode, ERRORS, KeywardError, type Log } from '../core/index.ts';
import type { LocationOptions, ProcessMessage, ProcessName } from './process.ts';

const READY_TIMEOUT_MS = 45_000;
const STOP_TIMEOUT_MS = 12_000;
const FIRST_RESTART_PAUSE_MS = 100;
const LONGEST_RESTART_PAUSE_MS = 5_000;
/** A child that lived this long starts again without a longer pause. */
const HEALTHY_AFTER_MS = 30_000;

const RUNTIME_FLAGS = [
  // No debugger can be attached by a signal: it could read keys and patients' data.
  '--disable-sigusr1',
  // A small young generation (in MiB): what a page of an export leaves behind is given back sooner.
  '--max-semi-space-size=8',
];

export interface ChildOptions {
  readonly name: ProcessName;
  /** Flags of Node beside those that every process has. */
  readonly flags: readonly string[];
  /** The program's entry file. */
  readonly main: string;
  readonly location: LocationOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly paths: DataPaths;
  readonly log: Log;
}

export interface SupervisedChild {
  /** Resolves when it was ready for the first time. @throws KeywardError what the child said, or `UP_CHILD_FAILED`. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function superviseChild(options: ChildOptions): SupervisedChild {
  const { name, log } = options;
  let current: ChildProcess | undefined;
  let stopping = false;
  let pauseMs = FIRST_RESTART_PAUSE_MS;

  const launch = async (): Promise<void> => {
    const startedAt = performance.now();
    const child = spawnChild(options);
    current = child;
    await untilReady(child, name);
    child.once('exit', () => {
      if (stopping) return;
      if (performance.now() - startedAt > HEALTHY_AFTER_MS) pauseMs = FIRST_RESTART_PAUSE_MS;
      void restart();
    });
  };
  const restart = async (): Promise<void> => {
    for (;;) {
      log.warn('process ended; starting it again', { process: name, durationMs: pauseMs });
      await sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_RESTART_PAUSE_MS);
      if (stopping) return;
      try {
        return await launch();
      } catch (error) {
        log.error('process could not be started again', { process: name, error });
      }
    }
  };
  return {
    start: launch,
    async stop() {
      stopping = true;
      if (current) await endChild(current);
    },
  };
}

/** Node cannot set this limit itself: a crash writes no memory of ours, where keys and patients' data lie, to a disk. */
const WITHOUT_CORE_DUMP = ['/bin/sh', '-c', 'ulimit -c 0 && exec "$0" "$@"'];

function commandOf(args: readonly string[]): [command: string, args: string[]] {
  const [command = '', ...rest] =
    process.platform === 'win32' ? [process.execPath, ...args] : [...WITHOUT_CORE_DUMP, process.execPath, ...args];
  return [command, rest];
}

function spawnChild({ name, flags, main, location, env, paths }: ChildOptions): ChildProcess {
  const logFile = openSync(join(paths.logs, `${name}.log`), 'a', 0o600);
  const config = location.config === undefined ? [] : ['--config', location.config];
  try {
    const verb = [main, name, '--data-dir', location.dataDir, ...config];
    return spawn(...commandOf([...RUNTIME_FLAGS, ...flags, ...verb]), {
      env,
      // A session of its own: Ctrl-C in a terminal reaches the supervisor alone, which then ends them in order.
      detached: true,
      stdio: ['ignore', logFile, logFile, 'ipc'],
    });
  } finally {
    closeSync(logFile);
  }
}

function untilReady(child: ChildProcess, name: ProcessName): Promise<void> {
  return new Promise((resolve, reject) => {
    const settled = () => {
      clearTimeout(timer);
      child.off('exit', ended).off('message', told);
    };
    const failed = (code: ErrorCode, detail: string) => {
      settled();
      child.kill('SIGKILL');
      reject(new KeywardError(code, { detail }));
    };
    const ended = () => failed('UP_CHILD_FAILED', `${name} ended; see logs/${name}.log.`);
    const told = (message: ProcessMessage) => {
      if ('failed' in message)
        return failed(codeOf(message.failed.code), message.failed.detail ?? `${name}; see logs/${name}.log.`);
      settled();
      resolve();
    };
    const timer = setTimeout(
      () => failed('UP_CHILD_FAILED', `${name} was not ready within ${READY_TIMEOUT_MS / 1000} s.`),
      READY_TIMEOUT_MS,
    );
    child.once('error', () => failed('UP_CHILD_FAILED', `${name} could not be started.`));
    child.once('exit', ended).on('message', told);
  });
}

/** What has no code of its own is told as the process that failed: there is no correlation id to quote. */
const codeOf = (code: string): ErrorCode =>
  Object.hasOwn(ERRORS, code) && code !== 'CORE_INTERNAL' ? (code as ErrorCode) : 'UP_CHILD_FAILED';

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
