/** Callers without a registered credential: refused always, recorded as often as the ledger can bear. */
import { type Clock, KeywardError, type Log } from '../../core/index.ts';

/** A process that knocks in a loop must not fill the ledger: so many entries in one window, the rest are counted in the log. */
const MAX_RECORDED = 10;
const WINDOW_MS = 60_000;

export interface StrangersOptions {
  readonly record: (correlationId: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Records, then throws `KEYS_UNAUTHENTICATED`, whether or not it could be recorded. */
export type RefuseStranger = (correlationId: string) => Promise<never>;

export function createRefuseStranger({ record, clock, log }: StrangersOptions): RefuseStranger {
  let windowStart = Number.NEGATIVE_INFINITY;
  let count = 0;
  return async (correlationId) => {
    const now = clock.now().getTime();
    if (now - windowStart >= WINDOW_MS) [windowStart, count] = [now, 0];
    count += 1;
    log.warn('caller without a registered credential', { code: 'KEYS_UNAUTHENTICATED', correlationId, count });
    if (count <= MAX_RECORDED) {
      await record(correlationId).catch((error: unknown) =>
        log.error('refusal not recorded', { error, correlationId }),
      );
    }
    throw new KeywardError('KEYS_UNAUTHENTICATED');
  };
}
