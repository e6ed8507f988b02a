/** How much patience custodians have with a root. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Resilience {
  /** How long one attempt may take. */
  readonly timeoutMs: number;
  /** Attempts of one call, the first included; only what may pass by itself is tried again. */
  readonly attempts: number;
  /** The longest pause before the second attempt; it doubles with each further one. */
  readonly firstPauseMs: number;
  /** Calls at the root at the same time; further ones wait. */
  readonly maxConcurrent: number;
  /** Failed attempts in a row after which the root is left alone. */
  readonly breakAfter: number;
  /** How long it is left alone before one call tries again. */
  readonly coolDownMs: number;
  /** A clock that only goes forward, in milliseconds. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** With three attempts of 5 s, an outage is told before a client of the gateway has given up (30 s). */
export const RESILIENCE: Resilience = {
  timeoutMs: 5_000,
  attempts: 3,
  firstPauseMs: 200,
  maxConcurrent: 8,
  breakAfter: 6,
  coolDownMs: 5_000,
  now: () => performance.now(),
  pause: (ms) => sleep(ms),
  random: Math.random,
};
