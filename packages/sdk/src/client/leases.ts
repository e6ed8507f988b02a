/** Named keys with an end: after so many milliseconds, after so many handouts, or when too many others came since. */
import type { DataKey } from '../seal/index.ts';

export interface LeaseBounds {
  readonly maxAgeMs: number;
  /**
   * How often one key is handed out; each item of a call is one handout. What the caller then does with the key is not seen
   * here: it may seal or open any number of values with one handout.
   */
  readonly maxHandouts: number;
  /** The least recently used key goes first. */
  readonly maxKeys: number;
}

export interface Leases {
  /** The key under this name, if it may be handed out this often now; otherwise it is dropped. */
  take(name: string, handouts: number): DataKey | undefined;
  /** `sinceMs` is when the key was asked for: its age counts from then. */
  put(name: string, key: DataKey, sinceMs: number, handouts: number): void;
  clear(): void;
  size(): number;
}

interface Lease {
  readonly key: DataKey;
  readonly endsMs: number;
  handouts: number;
}

export function createLeases(bounds: LeaseBounds, now: () => number): Leases {
  /** In order of last use, least recent first. */
  const held = new Map<string, Lease>();
  const sweeper = createSweeper(bounds.maxAgeMs, () => {
    for (const [name, lease] of held) if (now() >= lease.endsMs) held.delete(name);
    return held.size > 0;
  });
  return {
    take(name, handouts) {
      const lease = held.get(name);
      if (!lease) return undefined;
      held.delete(name);
      if (now() >= lease.endsMs || lease.handouts + handouts > bounds.maxHandouts) return undefined;
      lease.handouts += handouts;
      held.set(name, lease);
      return lease.key;
    },
    put(name, key, sinceMs, handouts) {
      held.delete(name);
      held.set(name, { key, endsMs: sinceMs + bounds.maxAgeMs, handouts });
      for (const oldest of held.keys()) {
        if (held.size <= bounds.maxKeys) break;
        held.delete(oldest);
      }
      sweeper.arm();
    },
    clear: () => held.clear(),
    size: () => held.size,
  };
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
