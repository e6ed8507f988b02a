/** Notices a key database that was put back: generation, versions and counters never go back. */
import type { Pool } from 'pg';
import { type Clock, KeywardError } from '../../core/index.ts';
import type { Keks } from '../keks.ts';
import { readHighWater, requireGenuine, type StoredHighWater, tallyOf, writeHighWater } from './high-water.ts';
import {
  ensureInstallation,
  glanceAtInstallation,
  type Installation,
  isLess,
  isSameTally,
  readTally,
  type TalliedInstallation,
  type Tally,
} from './installation.ts';
import { query } from '../query.ts';

export interface RollbackWatchOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly keks: Pick<Keks, 'open'>;
  readonly clock: Clock;
  /** The custodian's own, which is not backed up with the database. */
  readonly directory: string;
  /** Called once, when it is noticed. */
  readonly onRolledBack: () => void;
}

export interface RollbackWatch {
  /**
   * Compares, and notes what is newer. Whatever cannot be undone is answered after this.
   * @throws KeywardError `KEYS_ROLLED_BACK`
   */
  advance(): Promise<void>;
  /** Refuses when the database was found to be older. @throws KeywardError `KEYS_ROLLED_BACK` */
  requireNewest(): void;
  stop(): void;
}

/** A change that this custodian did not note when the machine lost power could be undone unseen. */
const NOTE_EVERY_MS = 1_000;
/** Counting looks at every key: seldom, and the more seldom the longer it takes. */
const COUNT_EVERY_MS = 60_000;
const COUNT_SHARE = 1 / 100;

/** Compares at once. @throws KeywardError `KEYS_ROLLED_BACK` | `DB_UNAVAILABLE` */
export async function watchRollback(options: RollbackWatchOptions): Promise<RollbackWatch> {
  await ensureInstallation(options.pool, options.tenant, options.clock);
  let rolledBack = false;
  const count = createCount(options);
  let running: Promise<void> = advanceOnce(options, count);
  await running;
  const advance = async () => {
    // One at a time: an older generation must not be written over a newer one.
    const mine = running.catch(() => undefined).then(() => advanceOnce(options, count));
    running = mine;
    try {
      await mine;
    } catch (error) {
      if (error instanceof KeywardError && error.code === 'KEYS_ROLLED_BACK' && !rolledBack) {
        rolledBack = true;
        options.onRolledBack();
      }
      throw error;
    }
  };
  // While the database does not answer, nothing is served that it could have changed.
  const timer = setInterval(() => void advance().catch(() => undefined), NOTE_EVERY_MS);
  timer.unref();
  return {
    advance,
    requireNewest() {
      if (rolledBack) throw new KeywardError('KEYS_ROLLED_BACK');
    },
    stop: () => clearInterval(timer),
  };
}

/** Undefined while it is not time to count again. */
type Count = () => Promise<Tally | undefined>;

function createCount({ pool, tenant }: RollbackWatchOptions): Count {
  let dueMs = Number.NEGATIVE_INFINITY;
  return async () => {
    const beganMs = performance.now();
    if (beganMs < dueMs) return undefined;
    const tally = await readTally(pool, tenant);
    const tookMs = performance.now() - beganMs;
    dueMs = beganMs + Math.max(COUNT_EVERY_MS, tookMs / COUNT_SHARE);
    return tally;
  };
}

async function advanceOnce(options: RollbackWatchOptions, count: Count): Promise<void> {
  const { pool, tenant, directory } = options;
  const noted = await readHighWater(directory);
  const current = await glanceAtInstallation(pool, tenant);
  if (!current) throw new KeywardError('KEYS_ROLLED_BACK');
  requireNotOlder(current, noted, tenant);
  if (noted) await requireWrittenByUs(options, noted);
  const before = noted && tallyOf(noted);
  const tally = (await count()) ?? before ?? (await readTally(pool, tenant));
  if (before && isLess(tally, before)) throw new KeywardError('KEYS_ROLLED_BACK');
  const isNoted =
    before !== undefined &&
    noted?.generation === String(current.generation) &&
    noted.writtenUnder === current.openKekVersion &&
    isSameTally(tally, before);
  if (!isNoted) await note(options, { ...current, tally });
}

/** An installation in which something has happened has a mark: who takes it away hides what was seen. */
function requireNotOlder(current: Installation, noted: StoredHighWater | undefined, tenant: string): void {
  if (!noted && current.generation > 0n)
    throw new KeywardError('KEYS_ROLLED_BACK', {
      detail:
        'The file custodian/high-water is missing from the data directory, so nothing tells how new the database is.',
    });
  if (!noted) return;
  const isSame = noted.installation === current.id && noted.tenant === tenant;
  const isOlder = current.generation < BigInt(noted.generation) || current.kekVersion < noted.kekVersion;
  if (!isSame || isOlder) throw new KeywardError('KEYS_ROLLED_BACK');
}

/**
 * A custodian that runs writes the mark anew when another KEK becomes active, long before the old one is destroyed. One that was off
 * for all that time has a mark that nothing can prove any more: what it says was compared, and counts as it stands.
 */
async function requireWrittenByUs(options: RollbackWatchOptions, noted: StoredHighWater): Promise<void> {
  if (await isDestroyed(options, noted.writtenUnder)) return;
  requireGenuine(noted, await options.keks.open(noted.writtenUnder));
}

const SELECT_DESTROYED = `SELECT FROM kek WHERE tenant = $1 AND version = $2 AND state = 'destroyed'`;

const isDestroyed = async ({ pool, tenant }: RollbackWatchOptions, version: number): Promise<boolean> =>
  (await query(pool, SELECT_DESTROYED, [tenant, version])).length > 0;

async function note({ tenant, keks, directory }: RollbackWatchOptions, current: TalliedInstallation): Promise<void> {
  const version = current.openKekVersion;
  if (version === undefined) return;
  await writeHighWater(directory, tenant, current, { version, key: await keks.open(version) });
}
