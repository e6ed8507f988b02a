/** Rotation, rewrap, move of the root and schedule, put together: what one custodian does about them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/index.ts';
import { asKeywardError, KeywardError } from '../../core/index.ts';
import type { Settings } from '../control/settings.ts';
import type { DataKeys } from '../data-keys.ts';
import { nameOfRoot } from '../kek-roots.ts';
import { selectKeks } from '../lifecycle/versions.ts';
import type { Root } from '../roots/root.ts';
import type { RequireSteadyClock } from '../steady-clock.ts';
import type { JobDesk } from './acts.ts';
import { createCryptoperiods } from './cryptoperiods.ts';
import { keepLeading } from './leader.ts';
import { createMoveRoot } from './move-root.ts';
import { createPace } from './pace.ts';
import type { JobParts } from './parts.ts';
import { createPresence } from './presence.ts';
import { createRenewal, type Renewal } from './renewal.ts';
import { createRewrap } from './rewrap.ts';
import { createRotateKek } from './rotate-kek.ts';
import { createKeyRotation } from './rotate-keys.ts';
import { pause, runJobs } from './runner.ts';
import { keepSchedule, type ScheduleOptions } from './schedule.ts';
import { findStale } from './stale.ts';
import { insertJob, listJobs } from './table.ts';

export interface KeyJobsOptions extends JobParts {
  readonly dataKeys: DataKeys;
  readonly root: Root;
  readonly nextRoot?: Root | undefined;
  readonly cryptoperiodDays: Config['keys']['cryptoperiodDays'];
  readonly readSetting: Settings['read'];
  readonly requireSteadyClock: RequireSteadyClock;
  /** @throws KeywardError `KEYS_ROLLED_BACK` while the database is older than what was seen of it. */
  readonly requireNewest: () => void;
  /** What else the schedule has to do. */
  readonly others: ScheduleOptions['others'];
  readonly timing?: Partial<JobTiming>;
}

export interface JobTiming {
  /** Between two looks at the table of jobs. */
  readonly pollMs: number;
  /** Between two rounds of the schedule. */
  readonly tickMs: number;
  /** Between two signs of life; leadership changes hands after as long. */
  readonly beatMs: number;
  /** A custodian that gave no sign for so long does not run any more. */
  readonly aliveMs: number;
  readonly distributionMs: number;
  /** Longest time of work without a pause. */
  readonly busyMs: number;
  /** Part of the time that a job works. */
  readonly dutyShare: number;
  /** Data keys in one step of a rewrap: at most what one entry of the ledger names. */
  readonly batchKeys: number;
}

const TIMING: JobTiming = {
  pollMs: 500,
  tickMs: 10_000,
  beatMs: 1_000,
  aliveMs: 10_000,
  distributionMs: 120_000,
  busyMs: 8,
  dutyShare: 0.5,
  batchKeys: 500,
};

/** Settings that operators change reach every custodian after at most this. */
const REFRESH_MS = 30_000;

export interface KeyJobs {
  readonly desk: JobDesk;
  readonly renewal: Renewal;
  /** From now on this custodian is there, and leads when no other does. */
  start(): void;
  /** Finishes the step that is under way. */
  close(): Promise<void>;
}

export function createKeyJobs(options: KeyJobsOptions): KeyJobs {
  const { pool, tenant, clock, log, root, nextRoot } = options;
  const timing = { ...TIMING, ...options.timing };
  const rotation = createKeyRotation(options);
  const cryptoperiods = createCryptoperiods(options.cryptoperiodDays, options.readSetting);
  const roots = () => [root, ...(nextRoot ? [nextRoot] : [])].map(nameOfRoot);
  const presence = createPresence({ ...options, ...timing, roots });
  const newPace = () => createPace({ ...timing, now: () => performance.now(), sleep: (ms) => sleep(ms) });
  const steps = {
    'rotate-kek': createRotateKek({
      ...options,
      presence,
      distributionMs: timing.distributionMs,
      lookMs: timing.pollMs,
    }),
    rewrap: createRewrap({ ...options, newPace, batchKeys: timing.batchKeys }),
    'move-root': createMoveRoot({ ...options, nextRoot, presence }),
  };
  const lead = async (signal: AbortSignal) => {
    const schedule = { ...options, cryptoperiods, rotation, presence, tickMs: timing.tickMs };
    await Promise.all([runJobs({ ...options, steps, pollMs: timing.pollMs }, signal), keepSchedule(schedule, signal)]);
  };
  const refresh = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      await cryptoperiods
        .refresh()
        .catch((error: unknown) => log.warn('settings not read', { code: asKeywardError(error).code }));
      await pause(REFRESH_MS, signal);
    }
  };
  const ending = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  return {
    desk: {
      async start(kind, why) {
        const id = await insertJob(pool, tenant, kind, why, clock.now());
        if (id === undefined) throw new KeywardError('KEYS_JOB_RUNNING');
        return id;
      },
      rotateKey: (spec, why) => rotation.order(spec, why),
      activeKek: async () => (await selectKeks(pool, tenant)).find(({ state }) => state === 'active')?.kekVersion,
      hasNextRoot: () => nextRoot !== undefined,
      list: (most) => listJobs(pool, tenant, most),
      stale: () => findStale(pool, tenant),
    },
    renewal: createRenewal({ ...options, rotation, cryptoperiods }),
    start() {
      const { signal } = ending;
      const { beatMs } = timing;
      running = Promise.all([
        presence.keep(signal),
        keepLeading({ pool, tenant, log, beatMs, lead }, signal),
        refresh(signal),
      ]);
    },
    async close() {
      ending.abort();
      await running;
    },
  };
}
