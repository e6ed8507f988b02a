/** A circuit breaker: what does not answer is left alone for a while, then one call finds out whether it is back. */
import type { Resilience } from './resilience.ts';

export interface Breaker {
  /** Whether a call may be made now. Each that may is told afterwards by `answered` or `failed`. */
  admits(): boolean;
  /** Whatever the answer was: the other side is there. True when it was given up before. */
  answered(): boolean;
  /** True when the other side is given up by this. */
  failed(): boolean;
}

export function createBreaker({ breakAfter, coolDownMs, now }: Resilience): Breaker {
  let failures = 0;
  /** When the next call may find out; undefined while all may pass. */
  let probeAt: number | undefined;
  return {
    admits() {
      if (probeAt === undefined) return true;
      if (now() < probeAt) return false;
      // This call is the probe; should it never come back, another is made after the same time.
      probeAt = now() + coolDownMs;
      return true;
    },
    answered() {
      const wasBroken = probeAt !== undefined;
      failures = 0;
      probeAt = undefined;
      return wasBroken;
    },
    failed() {
      failures += 1;
      if (failures < breakAfter) return false;
      const breaks = probeAt === undefined;
      probeAt = now() + coolDownMs;
      return breaks;
    },
  };
}
