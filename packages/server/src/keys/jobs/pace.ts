/** A pace for work on the event loop: busy for some milliseconds, then away for as long, so that serving goes on. */

export interface PaceOptions {
  /** Longest time without a pause, in milliseconds. */
  readonly busyMs: number;
  /** Part of the time that is worked, above 0 and at most 1. */
  readonly dutyShare: number;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** To be called after each small piece of work; a promise when it is time to wait. */
export type Pace = () => Promise<void> | undefined;

export function createPace({ busyMs, dutyShare, now, sleep }: PaceOptions): Pace {
  let since = now();
  const rest = async (workedMs: number): Promise<void> => {
    await sleep(workedMs * (1 / dutyShare - 1));
    since = now();
  };
  return () => {
    const workedMs = now() - since;
    return workedMs < busyMs ? undefined : rest(workedMs);
  };
}
