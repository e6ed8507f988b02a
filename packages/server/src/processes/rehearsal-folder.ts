/** Where a rehearsal of a recovery happens: a folder of its own that goes when it ends, however that is. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DataPaths, dataPaths } from '../core/index.ts';
import { clearLeftovers } from '../db/index.ts';
import { lockDataDirectory } from './instance-lock.ts';

const PREFIX = 'keyward-drill-';

const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The lock tells whoever rehearses next that this one runs. */
export async function inRehearsalFolder<T>(work: (paths: DataPaths) => Promise<T>): Promise<T> {
  await removeStale(tmpdir());
  const paths = dataPaths(mkdtempSync(join(tmpdir(), PREFIX)));
  const lock = await lockDataDirectory(paths);
  const leave = (signal: (typeof ENDINGS)[number]) =>
    void remove(paths).finally(() => process.exit(128 + constants.signals[signal]));
  for (const signal of ENDINGS) process.once(signal, leave);
  try {
    return await work(paths);
  } finally {
    for (const signal of ENDINGS) process.off(signal, leave);
    lock.close();
    await remove(paths);
  }
}

/** What a rehearsal left that was killed: its database may run still. Those of other users, or that run, stay. */
export async function removeStale(folder: string): Promise<void> {
  for (const name of readdirSync(folder).filter((each) => each.startsWith(PREFIX))) {
    const path = join(folder, name);
    if (statSync(path, { throwIfNoEntry: false })?.uid !== process.getuid?.()) continue;
    const paths = dataPaths(path);
    const lock = await lockDataDirectory(paths).catch(() => undefined);
    if (!lock) continue;
    lock.close();
    await remove(paths);
  }
}

async function remove(paths: DataPaths): Promise<void> {
  await clearLeftovers(paths.postgres);
  rmSync(paths.root, { recursive: true, force: true, maxRetries: 10 });
  rmSync(paths.sockets, { recursive: true, force: true });
}
