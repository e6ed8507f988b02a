/** Named keys with an end: after so many milliseconds, handouts or seals, or when too many others came since. */
import type { KeyId } from '../seal/index.ts';
import type { GrantedKey, HandedKey } from './types.ts';

export interface LeaseBounds {
  readonly maxAgeMs: number;
  /** How often one key is handed out; each item of a call is one handout. */
  readonly maxHandouts: number;
  /** The least recently used key goes first. */
  readonly maxKeys: number;
}

/** What one call takes of a key. */
export interface Draw {
  readonly handouts: number;
  /** Values the caller may seal with it; 0 for a key that only opens. */
  readonly seals: number;
}

export interface Leases {
  /** The key under this name, if it may be handed out this often, for this many seals, now; otherwise it is dropped. */
  take(name: string, draw: Draw): HandedKey | undefined;
  /** `sinceMs` is when the key was asked for: its age counts from then. `draw` is what whoever fetched it takes at once. */
  put(name: string, key: GrantedKey, sinceMs: number, draw: Draw): void;
  /** Seals that were granted for the key under this name and are left, whether or not the key itself is still held. */
  sealsLeft(name: string): number;
  /** Drops what stands under these names and what has one of these ids, with the seals left of it. */
  drop(names: ReadonlySet<string>, ids: ReadonlySet<KeyId>): void;
  clear(): void;
  size(): number;
}

interface Lease {
  readonly key: HandedKey;
  readonly endsMs: number;
  handouts: number;
  seals: number;
}

/** What is left of a grant when its key has gone: no secret, so that a key that is fetched again goes on where it stopped. */
interface Rest {
  readonly id: KeyId;
  readonly seals: number;
}

export function createLeases(bounds: LeaseBounds, now: () => number): Leases {
  /** In order of last use, least recent first. */
  const held = new Map<string, Lease>();
  const rests = new Map<string, Rest>();
  const end = (name: string, { key, seals }: Lease) => {
    held.delete(name);
    if (seals === 0) return;
    rests.set(name, { id: key.id, seals });
    trim(rests, bounds.maxKeys, (oldest) => rests.delete(oldest));
  };
  const restOf = (name: string): Rest | undefined => {
    const lease = held.get(name);
    return lease ? { id: lease.key.id, seals: lease.seals } : rests.get(name);
  };
  const sweeper = createSweeper(bounds.maxAgeMs, () => {
    for (const [name, lease] of held) if (now() >= lease.endsMs) end(name, lease);
    return held.size > 0;
  });
  return {
    take(name, { handouts, seals }) {
      const lease = held.get(name);
      if (!lease) return undefined;
      const spent = lease.handouts + handouts > bounds.maxHandouts || seals > lease.seals;
      if (now() >= lease.endsMs || spent) {
        end(name, lease);
        return undefined;
      }
      lease.handouts += handouts;
      lease.seals -= seals;
      held.delete(name);
      held.set(name, lease);
      return lease.key;
    },
    put(name, key, sinceMs, { handouts, seals }) {
      const rest = restOf(name);
      const carried = rest?.id === key.id ? rest.seals : 0;
      held.delete(name);
      rests.delete(name);
      const endsMs = sinceMs + bounds.maxAgeMs;
      held.set(name, { key, endsMs, handouts, seals: carried + key.seals - seals });
      trim(held, bounds.maxKeys, end);
      sweeper.arm();
    },
    sealsLeft: (name) => restOf(name)?.seals ?? 0,
    drop(names, ids) {
      for (const [name, { key }] of held) if (names.has(name) || ids.has(key.id)) held.delete(name);
      for (const [name, { id }] of rests) if (names.has(name) || ids.has(id)) rests.delete(name);
    },
    clear() {
      held.clear();
      rests.clear();
    },
    size: () => held.size,
  };
}

function trim<T>(entries: ReadonlyMap<string, T>, most: number, remove: (name: string, entry: T) => void): void {
  for (const [name, entry] of entries) {
    if (entries.size <= most) return;
    remove(name, entry);
  }
}

/** Longest delay of a timer (2^31 - 1 ms). */
const MAX_TIMER_MS = 2_147_483_647;

/** A process that falls idle must let go of its keys too. The timer keeps no process alive and runs only while keys are held. */
function createSweeper(everyMs: number, sweep: () => boolean): { arm(): void } {
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    timer ??= setTimeout(run, Math.min(everyMs, MAX_TIMER_MS)).unref();
  };
  const run = () => {
    timer = undefined;
    if (sweep()) arm();
  };
  return { arm };
}
