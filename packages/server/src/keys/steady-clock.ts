/** Whether the clock went back: then nothing that depends on time happens until it has caught up; keys serve on. */
import type { Pool } from 'pg';
import { type Clock, KeywardError, type Log, newUuid } from '../core/index.ts';
import type { LifeEvents } from './lifecycle/events.ts';
import { query } from './query.ts';
import type { Recorder } from './recorder.ts';

export interface SteadyClockOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly events: Pick<LifeEvents, 'alarm'>;
  readonly log: Log;
}

/** @throws KeywardError `KEYS_CLOCK_BACK` */
export type RequireSteadyClock = () => Promise<void>;

/** Clocks of hosts differ by so much without anybody having turned them. */
const TOLERANCE_MS = 60_000;

/** The latest time that anything here was done at, and whether it is to be moved on; a restart forgets nothing. */
const LATEST = `
  SELECT greatest(
    (SELECT seen_at FROM installation WHERE tenant = $1), (SELECT max(at) FROM key_transition WHERE tenant = $1)
  ) AS latest`;
const SEEN = 'UPDATE installation SET seen_at = greatest(seen_at, $2) WHERE tenant = $1';

export function createSteadyClock(options: SteadyClockOptions): RequireSteadyClock {
  const { pool, tenant, clock, recorder, events, log } = options;
  let alarmed = false;
  const raiseAlarm = async () => {
    if (alarmed) return;
    log.error('the clock went back', { code: 'KEYS_CLOCK_BACK' });
    const facts = { verb: 'clock', rule: 'keys.steady-clock', resources: [], keyIds: [] };
    await recorder.record([events.alarm(facts, { code: 'KEYS_CLOCK_BACK', correlationId: newUuid() })]);
    alarmed = true;
  };
  return async () => {
    const now = clock.now();
    const [row] = await query<{ latest: Date | null }>(pool, LATEST, [tenant]);
    if (row?.latest && now.getTime() < row.latest.getTime() - TOLERANCE_MS) {
      await raiseAlarm();
      throw new KeywardError('KEYS_CLOCK_BACK');
    }
    alarmed = false;
    await query(pool, SEEN, [tenant, now]);
  };
}
