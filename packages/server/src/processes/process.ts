/** What every Keyward process has in common: its configuration, its log, how it says that it is ready, and how it ends. */
import { asKeywardError, type DataPaths, dataPaths, type Log } from '../core/index.ts';
import { type Config, loadConfig } from '../config/index.ts';

export const PROCESS_NAMES = ['custodian', 'store', 'gateway', 'admin'] as const;
export type ProcessName = (typeof PROCESS_NAMES)[number];

export interface ProcessContext {
  readonly config: Config;
  readonly paths: DataPaths;
  readonly log: Log;
}

/** A part that is running and can be stopped. */
export interface Running {
  /** Finishes what is in flight, then lets go of everything. */
  stop(): Promise<void>;
}

/** What a process tells its supervisor. */
export type ProcessMessage =
  | { readonly ready: true }
  | { readonly failed: { readonly code: string; readonly detail: string | undefined } };

export interface LocationOptions {
  readonly dataDir: string;
  readonly config?: string | undefined;
}

export const loadLocated = ({ dataDir, config }: LocationOptions, flags: Readonly<Record<string, unknown>> = {}) => ({
  ...loadConfig({ file: config, env: process.env, flags }),
  paths: dataPaths(dataDir),
});

/** Longest a process may take to finish what is in flight. */
const STOP_TIMEOUT_MS = 10_000;

/** Starts one process and keeps it until SIGTERM, SIGINT or the end of its supervisor. Resolves with the exit status. */
export async function runProcess(log: Log, start: () => Promise<Running>): Promise<number> {
  // Node would print the whole error, with whatever values it carries, past the log's allow-list.
  process.on('uncaughtException', (error) => {
    log.error('process failed', { error });
    process.exit(1);
  });
  const ended = untilToldToEnd();
  let running: Running;
  try {
    running = await start();
  } catch (thrown) {
    const { code, detail, row } = asKeywardError(thrown);
    log.error('process could not start', { code, error: thrown });
    await tell({ failed: { code, detail } });
    return row.exit;
  }
  await tell({ ready: true });
  log.info('process ready', { pid: process.pid });
  await ended;
  log.info('process stopping', { pid: process.pid });
  setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
  await running.stop();
  return 0;
}

function untilToldToEnd(): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(event, () => resolve());
  });
}

function tell(message: ProcessMessage): Promise<void> {
  if (!process.send || !process.connected) return Promise.resolve();
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}
