/** `keyward up`: the supervisor of one host. Starts PostgreSQL and the processes in order, keeps them running, stops them in reverse. */
import { accessSync, constants, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureCustodianCertificates, ensureServerCertificate } from '../ca/index.ts';
import { instanceFile, writeInstance } from '../cli/index.ts';
import { type Config, readOrCreateSecret, secretVariables } from '../config/index.ts';
import { createLog, type DataPaths, KeywardError, type Log, systemClock } from '../core/index.ts';
import { createDevelopmentKey, removeDevelopmentKey } from '../identity/index.ts';
import { requireFree } from './addresses.ts';
import { superviseChild } from './child.ts';
import { custodianFlags } from './confinement.ts';
import { CUSTODIAN_CLIENTS } from './custodian-line.ts';
import { type Database, startDatabase } from './database.ts';
import { lockDataDirectory } from './instance-lock.ts';
import { openLogFile } from './log-file.ts';
import { listenerHosts, originsOf, serverHosts } from './parts.ts';
import { loadLocated, type LocationOptions, type ProcessName } from './process.ts';

/** Nothing can be sealed or recorded without the custodian; the others do not need each other to start. */
const START_ORDER: readonly (readonly ProcessName[])[] = [['custodian'], ['store', 'gateway', 'admin']];

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
  prepareDirectories(paths, config.keys.backupDirectory ?? paths.backups);
  const lock = await lockDataDirectory(paths);
  const log = createLog('up', openLogFile(paths, 'up'));
  const ending = untilToldToEnd();
  const stops: Stop[] = [];
  try {
    await startAll({ options, config, paths, log, told: ending.told }, stops);
    if (!ending.told.aborted) announce(options, config, paths);
    await ending.ended;
    options.say('stopping …');
  } finally {
    rmSync(instanceFile(paths), { force: true });
    await stopAll(stops, log);
    lock.close();
  }
}

/**
 * Listens to the end: Ctrl-C arrives twice, from the terminal and from npm, and must not end us before what we started.
 * A terminal or pipe that went away must not either.
 */
function untilToldToEnd(): { told: AbortSignal; ended: Promise<void> } {
  const controller = new AbortController();
  const ended = new Promise<void>((resolve) => controller.signal.addEventListener('abort', () => resolve()));
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => controller.abort());
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return { told: controller.signal, ended };
}

function announce(options: UpOptions, config: Config, paths: DataPaths): void {
  const { gateway: gatewayUrl, admin: adminUrl } = originsOf(config);
  const instance = { gatewayUrl, adminUrl };
  writeInstance(paths, { pid: process.pid, ...instance, ready: true });
  options.onReady(instance);
}

type Stop = () => Promise<void>;

/** In reverse order, and each whatever became of the others. */
async function stopAll(stops: readonly Stop[], log: Log): Promise<void> {
  for (const stop of stops.toReversed()) await stop().catch((error) => log.error('could not stop', { error }));
}

interface Start {
  readonly options: UpOptions;
  readonly config: Config;
  readonly paths: DataPaths;
  readonly log: Log;
  /** Aborted by the first signal: nothing more is started then. */
  readonly told: AbortSignal;
}

/** Adds to `stops` what has to be stopped, also when it throws. */
async function startAll({ options, config, paths, log, told }: Start, stops: Stop[]): Promise<void> {
  const { listen, custodianUrl } = config.keys;
  await requireFree([config.gateway, config.admin, ...(listen ? [listen] : [])]);
  await ensureServerCertificate({ paths, clock: systemClock, hosts: serverHosts(config) });
  if (listen && !listen.files) await ensureCustodianCertificates(custodianCertificates(config, paths, listen));
  if (config.identity.issuers.length === 0) createDevelopmentKey(paths);
  else removeDevelopmentKey(paths);
  // The custodian reads the credentials of its callers, and may not write beside them.
  for (const caller of CUSTODIAN_CLIENTS) readOrCreateSecret(paths, `custodian-${caller}`);
  const database = await startDatabase(paths, log, options.say);
  stops.push(() => database.stop());
  const env = {
    ...process.env,
    KEYWARD_GATEWAY_PORT: String(config.gateway.port),
    KEYWARD_ADMIN_PORT: String(config.admin.port),
  };
  const hidden = secretVariables(config.keys);
  for (const names of START_ORDER) {
    if (told.aborted) return;
    const elsewhere = {
      store: config.gateway.upstreamUrl,
      custodian: custodianUrl,
      gateway: undefined,
      admin: undefined,
    };
    const wanted = names.filter((name) => elsewhere[name] === undefined);
    const flagsOf = (name: ProcessName) =>
      name === 'custodian' ? custodianFlags({ config, configFile: options.config, paths, env }) : [];
    // What opens the root is the custodian's alone (K10).
    const envOf = (name: ProcessName) =>
      // Options of Node from outside could bring code of others into the process that holds the KEKs.
      name === 'custodian'
        ? { ...env, NODE_OPTIONS: undefined }
        : { ...env, ...Object.fromEntries(hidden.map((variable) => [variable, undefined])) };
    const children = wanted.map((name) =>
      superviseChild({ name, flags: flagsOf(name), main: MAIN, location: options, env: envOf(name), paths, log }),
    );
    for (const child of children) stops.push(() => child.stop());
    await Promise.all(children.map((child) => child.start()));
  }
  void keepDatabase(database, log);
}

function custodianCertificates(
  config: Config,
  paths: DataPaths,
  { host, names }: NonNullable<Config['keys']['listen']>,
) {
  const hosts = [...new Set([...names, ...listenerHosts([host])])];
  return { paths, clock: systemClock, tenant: config.tenant, clients: CUSTODIAN_CLIENTS, hosts };
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

function prepareDirectories(paths: DataPaths, backups: string): void {
  try {
    mkdirSync(paths.root, { recursive: true });
    accessSync(paths.root, constants.W_OK | constants.X_OK);
    const folders = [paths.logs, paths.run, paths.secrets, paths.rootKeyDir, paths.custodian, backups];
    for (const directory of folders) mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new KeywardError('UP_DATA_DIR', { detail: paths.root, cause });
  }
}
