/** Recovery from the command line, while nothing runs on the data directory: restore, rehearse, accept what was put back. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createCustodianClient, type KeyService } from '@keyward/sdk/client';
import { type Config, loadConfig, readOrCreateSecret } from '../config/index.ts';
import { createLog, type DataPaths, KeywardError, type Log, systemClock } from '../core/index.ts';
import { createDevelopmentKey } from '../identity/index.ts';
import {
  acceptRollback,
  joinShares,
  memoryRoot,
  openBackup,
  openRoot,
  restoreBackup,
  type Restored,
  type Root,
  type Share,
  type WaitingAnew,
} from '../keys/index.ts';
import { startCustodian } from './custodian.ts';
import { type Database, startDatabase } from './database.ts';
import { destructionWaitMs } from './destruction.ts';
import { lockDataDirectory } from './instance-lock.ts';
import { custodianSocket } from './custodian-line.ts';
import { openDatabase } from './parts.ts';
import { inRehearsalFolder } from './rehearsal-folder.ts';
import { loadLocated, type LocationOptions } from './process.ts';

export interface RecoveryInputs {
  /** Path of the backup. */
  readonly backup: string;
  readonly shares: readonly Share[];
  /** Takes progress lines for people. */
  readonly say: (line: string) => void;
}

/** What is worth telling stands on the terminal. */
const SILENT: Log = createLog('recovery', { write: () => undefined });

interface Place {
  readonly config: Config;
  readonly paths: DataPaths;
}

/** @throws KeywardError `KEYS_RESTORE_REFUSED` | `KEYS_BACKUP_INVALID`; the directory is as empty as before then */
export async function restoreKeys(location: LocationOptions, inputs: RecoveryInputs): Promise<Restored> {
  const place = loadLocated(location);
  requireEmpty(place.paths);
  return locked(place.paths, async () => {
    try {
      return await restoreInto(place, inputs, async (restored) => restored);
    } catch (error) {
      for (const made of namesIn(place.paths.root))
        rmSync(join(place.paths.root, made), { recursive: true, force: true });
      throw error;
    }
  });
}

function requireEmpty(paths: DataPaths): void {
  if (namesIn(paths.root).length > 0) throw new KeywardError('KEYS_RESTORE_REFUSED');
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function locked<T>(paths: DataPaths, work: () => Promise<T>): Promise<T> {
  const lock = await lockDataDirectory(paths);
  try {
    return await work();
  } finally {
    lock.close();
  }
}

/** The database runs until `work` has ended. */
async function restoreInto<T>(
  { config, paths }: Place,
  { backup, shares, say }: RecoveryInputs,
  work: (restored: Restored) => Promise<T>,
  held?: Root,
): Promise<T> {
  await using file = await openBackup(backup);
  const key = await joinShares(file.header, shares);
  say(`backup ${file.header.backup} of ${file.header.at}: the shares open it`);
  let restored: Restored | undefined;
  const database = await startDatabase(paths, SILENT, say, async () => {
    const pool = openDatabase(paths, 'custodian', 2);
    const root = held ?? (await openRoot(config.keys.root, { log: SILENT, directory: paths.rootKeyDir }));
    try {
      const directory = paths.custodian;
      const waitingMs = destructionWaitMs(config.keys);
      const options = { pool, file, key, root, tenant: config.tenant, clock: systemClock, waitingMs, directory, say };
      restored = await restoreBackup(options);
    } finally {
      // One that was handed in serves the custodian that starts next.
      await Promise.all([pool.end(), held ?? root.close()]);
    }
  });
  return stopping(database, () => work(restored as Restored));
}

async function stopping<T>(database: Database, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await database.stop();
  }
}

/** Keys of a restored hierarchy, as the processes may have them. */
export interface RehearsedKeys {
  readonly tenant: string;
  readonly gateway: KeyService;
  readonly store: KeyService;
}

/**
 * Restores into a directory that is removed in the end, under a root key in memory alone, and starts a custodian there: the real
 * root, the real database and the real ledger are not touched, and what a killed rehearsal leaves opens with nothing.
 */
export async function rehearseRecovery<T>(
  location: LocationOptions,
  inputs: RecoveryInputs,
  work: (keys: RehearsedKeys) => Promise<T>,
): Promise<T> {
  const { tenant } = loadLocated(location).config;
  const { config } = loadConfig({ env: {}, flags: { tenant } });
  const root = memoryRoot();
  return inRehearsalFolder((paths) => {
    const rehearse = async () => {
      inputs.say('a custodian starts on what was restored …');
      createDevelopmentKey(paths);
      const custodian = await startCustodian({ config, paths, log: SILENT }, root);
      const [gateway, store] = [keysAs(paths, 'gateway'), keysAs(paths, 'store')];
      try {
        return await work({ tenant, gateway, store });
      } finally {
        await custodian.stop();
      }
    };
    return restoreInto({ config, paths }, inputs, rehearse, root);
  });
}

const KEYS_TIMEOUT_MS = 10_000;

/** Each key is asked for anew: what a cache would answer proves nothing. */
const keysAs = (paths: DataPaths, caller: 'gateway' | 'store'): KeyService =>
  createCustodianClient({
    socketPath: custodianSocket(paths),
    credential: readOrCreateSecret(paths, `custodian-${caller}`),
    timeoutMs: KEYS_TIMEOUT_MS,
  });

/** @throws KeywardError `KEYS_BACKUP_INVALID` | `UP_ALREADY_RUNNING` */
export async function acceptDatabase(
  location: LocationOptions,
  { backup, shares, say }: RecoveryInputs,
): Promise<readonly WaitingAnew[]> {
  const { config, paths } = loadLocated(location);
  await using file = await openBackup(backup);
  return await locked(paths, async () => {
    const database = await startDatabase(paths, SILENT, say);
    return stopping(database, async () => {
      const pool = openDatabase(paths, 'custodian', 2);
      const root = await openRoot(config.keys.root, { log: SILENT, directory: paths.rootKeyDir });
      try {
        const directory = paths.custodian;
        const waitingMs = destructionWaitMs(config.keys);
        const options = { pool, root, tenant: config.tenant, clock: systemClock, waitingMs, directory, file, shares };
        return await acceptRollback(options);
      } finally {
        await Promise.all([pool.end(), root.close()]);
      }
    });
  });
}
