/** A lock by name: whoever asks for a name that is lent waits until it is given back, but not for ever, within this process. */
import { KeywardError } from '../core/index.ts';

export interface KeyedLock {
  /**
   * Resolves when every name is lent to the caller, in the order of asking; the function gives them all back.
   * @throws KeywardError `GATEWAY_CONTENDED` when that took too long; nothing is lent then
   */
  acquire(names: Iterable<string>): Promise<() => void>;
}

/** @param maxWaitMs for all names of one call together */
export function createKeyedLock(maxWaitMs: number): KeyedLock {
  const tails = new Map<string, Promise<void>>();
  return {
    async acquire(names) {
      const late = Promise.withResolvers<typeof LATE>();
      const timer = setTimeout(() => late.resolve(LATE), maxWaitMs);
      const releases: (() => void)[] = [];
      const release = () => releases.forEach((giveBack) => giveBack());
      try {
        // In one order for everybody: two could wait for each other for ever otherwise.
        for (const name of [...new Set(names)].toSorted()) releases.push(await take(tails, name, late.promise));
      } catch (cause) {
        release();
        throw cause;
      } finally {
        clearTimeout(timer);
      }
      return release;
    },
  };
}

const LATE = Symbol('late');

async function take(tails: Map<string, Promise<void>>, name: string, late: Promise<typeof LATE>): Promise<() => void> {
  const before = tails.get(name);
  const { promise: mine, resolve } = Promise.withResolvers<void>();
  tails.set(name, mine);
  const giveBack = () => {
    if (tails.get(name) === mine) tails.delete(name);
    resolve();
  };
  if (before && (await Promise.race([before, late])) === LATE) {
    // The place in the queue stays: whoever came later must not pass the holder.
    void before.then(giveBack);
    throw new KeywardError('GATEWAY_CONTENDED');
  }
  return giveBack;
}

/** What one request has borrowed, until it ends. */
export interface Loans {
  /** What it has already it does not ask for again. @throws KeywardError as `acquire` */
  borrow(names: Iterable<string>): Promise<void>;
  giveBack(): void;
}

export function createLoans(lock: KeyedLock): Loans {
  const held = new Set<string>();
  const releases: (() => void)[] = [];
  return {
    async borrow(names) {
      const wanted = [...names].filter((name) => !held.has(name));
      if (wanted.length === 0) return;
      releases.push(await lock.acquire(wanted));
      for (const name of wanted) held.add(name);
    },
    giveBack() {
      for (const release of releases.splice(0)) release();
      held.clear();
    },
  };
}
