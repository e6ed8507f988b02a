/** How many keys one principal may ask for: a token bucket for each pair of calling process and person, and one for each process. */
import { KeywardError } from '../core/index.ts';
import type { Caller } from './grants.ts';

export interface RateBounds {
  /** Keys that flow into a bucket. */
  readonly perSecond: number;
  /** Keys that a full bucket holds; no call may ask for more. */
  readonly burst: number;
}

/** Whoever asks: a process, and the person on whose behalf. */
export interface Principal {
  readonly caller: Caller;
  readonly actor?: string | undefined;
  readonly issuer?: string | undefined;
}

export interface Shortage {
  /** When there will be enough, if nobody else takes of it. */
  readonly waitMs: number;
  /** Of those since the bucket was last full, this one included. */
  readonly refusals: number;
}

export interface RateLimit {
  /** Takes so many keys out of the buckets of principal and process; where one lacks them, takes none and says so. */
  take(principal: Principal, keys: number): Shortage | undefined;
}

/**
 * Buckets that are remembered. Beyond them the least recently used one is forgotten, and full again when its principal comes
 * back.
 */
const MAX_BUCKETS = 10_000;

/** A process that invents people gets a bucket for each; all of them together get as much as so many people. */
const PEOPLE_PER_PROCESS = 10;

const SECOND_MS = 1000;

interface Bucket {
  readonly keys: number;
  readonly atMs: number;
  readonly refusals: number;
}

/** @param now milliseconds since any fixed moment; never goes back */
export function createRateLimit({ perSecond, burst }: RateBounds, now: () => number): RateLimit {
  const people = createBuckets({ perSecond, burst }, now);
  const processes = createBuckets(
    { perSecond: perSecond * PEOPLE_PER_PROCESS, burst: burst * PEOPLE_PER_PROCESS },
    now,
  );
  return {
    take({ caller, actor, issuer }, wanted) {
      const [person, process] = [JSON.stringify([caller, issuer, actor]), caller];
      const shortage = people.shortage(person, wanted) ?? processes.shortage(process, wanted);
      if (shortage) return shortage;
      people.drain(person, wanted);
      processes.drain(process, wanted);
      return undefined;
    },
  };
}

function createBuckets({ perSecond, burst }: RateBounds, now: () => number) {
  const buckets = new Map<string, Bucket>();
  const keep = (name: string, bucket: Bucket) => {
    buckets.delete(name);
    buckets.set(name, bucket);
    if (buckets.size > MAX_BUCKETS) buckets.delete(buckets.keys().next().value as string);
  };
  const filled = (name: string): Bucket => {
    const atMs = now();
    const bucket = buckets.get(name);
    const keys = bucket ? bucket.keys + ((atMs - bucket.atMs) / SECOND_MS) * perSecond : burst;
    return keys >= burst || !bucket ? { keys: burst, atMs, refusals: 0 } : { ...bucket, keys, atMs };
  };
  return {
    shortage(name: string, wanted: number): Shortage | undefined {
      const bucket = filled(name);
      const missing = wanted - bucket.keys;
      if (missing <= 0) return undefined;
      const refusals = bucket.refusals + 1;
      keep(name, { ...bucket, refusals });
      return { waitMs: Math.ceil((missing / perSecond) * SECOND_MS), refusals };
    },
    drain(name: string, wanted: number): void {
      const bucket = filled(name);
      keep(name, { ...bucket, keys: bucket.keys - wanted });
    },
  };
}

/** Carries when to come back, for the header of the answer. */
export class RateLimited extends KeywardError {
  /** HTTP counts in whole seconds (RFC 9110 §10.2.3). */
  readonly retryAfterSeconds: number;

  constructor({ waitMs }: Shortage) {
    super('KEYS_RATE_LIMITED');
    this.retryAfterSeconds = Math.ceil(waitMs / SECOND_MS);
  }
}
