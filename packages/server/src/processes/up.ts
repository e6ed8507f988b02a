/** `keyward up`: the supervisor of one host. Starts PostgreSQL and the processes in order, keeps them running, stops them in reverse. */
import { accessSync, constants, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureServerCertificate } from '../ca/index.ts';
import { instanceFile, writeInstance } from '../cli/index.ts';
import type { Config } from '../config/index.ts';
import { createLog, type DataPaths, KeywardError, type Log, systemClock } from '../core/index.ts';
import { createDevelopmentKey, removeDevelopmentKey } from '../identity/index.ts';
import { type SupervisedChild, superviseChild } from './child.ts';
import { type Database, startDatabase } from './database.ts';
import { lockDataDirectory } from './instance-lock.ts';
import { openLogFile } from './log-file.ts';
import { loadLocated, type LocationOptions, PROCESS_NAMES } from './process.ts';

const MAIN = join(dirname(fileURLToPath(import.meta.url)), '..', 'main.ts');

export interface UpOptions extends LocationOptions {
  readonly gatewayPort?: number | undefined;
  readonly adminPort?: number | undefined;
  /** Takes progress lines for people. */
  readonly say: (line: string) => void;
  /** Called once, when everything answers. */
  readonly onReady: (instance: { gatewayUrl: string; adminUrl: string }) => void;
}

/** Resolves after SIGTERM or SIGINT, when everything has stopped. @throws KeywardError `UP_…`, `DB_…`, `CONFIG_…`, `KEYS_…`. */
export async function up(options: UpOptions): Promise<void> {
  const { config, paths } = loadLocated(options, {
    'gateway.port': options.gatewayPort,
    'admin.port': options.adminPort,
  });
  prepareDirectories(paths);
  const lock = await lockDataDirectory(paths);
  const log = createLog('up', openLogFile(paths, 'up'));
  const told = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  const stops: (() => Promise<void>)[] = [];
  try {
    await startAll(options, config, paths, log, stops);
    const instance = {
      gatewayUrl: `https://localhost:${config.gateway.port}`,
      adminUrl: `https://localhost:${config.admin.port}`,
    };
    writeInstance(paths, { pid: process.pid, ...instance, ready: true });
    options.onReady(instance);
    await told;
    options.say('stopping …');
  } finally {
    rmSync(instanceFile(paths), { force: true });
    for (const stop of stops.toReversed()) await stop();
    lock.close();
  }
}

async function startAll(
  options: UpOptions,
  config: Config,
  paths: DataPaths,
  log: Log,
  stops: (() => Promise<void>)[],
): Promise<void> {
  for (const { host, port } of [config.gateway, config.admin]) await assertFree(host, port);
  await ensureServerCertificate({ paths, clock: systemClock });
  if (config.identity.issuers.length === 0) createDevelopmentKey(paths);
  else removeDevelopmentKey(paths);
  const database = await startDatabase(paths, log, options.say);
  stops.push(() => database.stop());
  const children: SupervisedChild[] = [];
  for (const name of PROCESS_NAMES) {
    if (name === 'store' && config.gateway.upstreamUrl !== undefined) continue;
    const env = {
      ...process.env,
      KEYWARD_GATEWAY_PORT: String(config.gateway.port),
      KEYWARD_ADMIN_PORT: String(config.admin.port),
    };
    const child = superviseChild({ name, main: MAIN, location: options, env, paths, log });
    stops.push(() => child.stop());
    await child.start();
    children.push(child);
  }
  void keepDatabase(database, log);
}

/** PostgreSQL that dies is started again; the processes reconnect by themselves. */
async function keepDatabase(database: Database, log: Log): Promise<void> {
  for (;;) {
    const why = await database.ended();
    if (why === 'stopped') return;
    log.warn('process ended; starting it again', { process: 'postgres' });
    try {
      await database.startAgain();
    } catch (error) {
      log.error('process could not be started again', { process: 'postgres', error });
      await sleep(1_000);
    }
  }
}

function prepareDirectories(paths: DataPaths): void {
  try {
    mkdirSync(paths.root, { recursive: true });
    accessSync(paths.root, constants.W_OK | constants.X_OK);
    for (const directory of [paths.logs, paths.run, paths.secrets])
      mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new KeywardError('UP_DATA_DIR', { detail: paths.root, cause });
  }
}

/** @throws KeywardError `UP_PORT_TAKEN`, before anything was started. */
function assertFree(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause) =>
      reject(new KeywardError('UP_PORT_TAKEN', { detail: `Port ${port} on ${host}.`, cause })),
    );
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}
