/** Runs the jobs that the table holds, each of a kind at most once, for as long as this custodian leads. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { asKeywardError, type Clock, type Log } from '../../core/index.ts';
import type { LifeEvents } from '../lifecycle/events.ts';
import type { Recorder } from '../recorder.ts';
import { commitStep, failJob, type Job, type JobKind, JobLost, type Progress, runningJobs } from './table.ts';

export type Commit = (work: (client: PoolClient) => Promise<Progress>) => Promise<Job>;

/** One step of a kind of job: what it came to is committed by `commit`, or the job is returned as it was, to wait. */
export type Step = (job: Job, commit: Commit, signal: AbortSignal) => Promise<Job>;

export interface RunnerOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly events: Pick<LifeEvents, 'alarm'>;
  readonly log: Log;
  /** @throws KeywardError `KEYS_ROLLED_BACK` */
  readonly requireNewest: () => void;
  readonly steps: Readonly<Record<JobKind, Step>>;
  /** How often the table is looked at. */
  readonly pollMs: number;
}

/** SQLSTATEs (PostgreSQL, appendix A) of a transaction that may succeed when it is tried again. */
const TRY_AGAIN = new Set(['40001', '40P01']);

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;

/** Resolves once `signal` has ended it and no step is under way. */
export async function runJobs(options: RunnerOptions, signal: AbortSignal): Promise<void> {
  const { pool, tenant, log, pollMs } = options;
  const running = new Map<string, Promise<void>>();
  while (!signal.aborted) {
    // One that ends while the table is read may still stand there as running.
    const before = new Set(running.keys());
    const jobs = await runningJobs(pool, tenant).catch((error: unknown) => {
      log.warn('jobs on keys cannot be read', { code: asKeywardError(error).code });
      return [];
    });
    for (const job of jobs) {
      if (running.has(job.id) || before.has(job.id)) continue;
      const run = runOne(options, job, signal).finally(() => running.delete(job.id));
      running.set(job.id, run);
    }
    await pause(pollMs, signal);
  }
  await Promise.all(running.values());
}

async function runOne(options: RunnerOptions, first: Job, signal: AbortSignal): Promise<void> {
  const { log } = options;
  const { correlationId } = first.origin;
  let job = first;
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted && job.state === 'running') {
    try {
      job = await stepOf(options, job, signal);
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      if (error instanceof JobLost) return;
      const { code } = asKeywardError(error);
      if (!mayPass(error)) return await giveUp(options, job, error);
      log.warn('job on keys waits', { code, correlationId });
      await pause(pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

async function stepOf(options: RunnerOptions, job: Job, signal: AbortSignal): Promise<Job> {
  const { pool, tenant, clock, steps, requireNewest } = options;
  requireNewest();
  return steps[job.kind](job, (work) => commitStep(pool, tenant, job, clock.now(), work), signal);
}

/** A database that was rolled back ends no job: it goes on where the newest one has it. */
function mayPass(error: unknown): boolean {
  const { code, row } = asKeywardError(error);
  return row.retry || code === 'KEYS_ROLLED_BACK' || TRY_AGAIN.has(String((error as { code?: unknown } | null)?.code));
}

/** What could not be recorded or written here is tried anew with the whole step: the job is still running then. */
async function giveUp(options: RunnerOptions, job: Job, error: unknown): Promise<void> {
  const { pool, tenant, clock, recorder, events, log } = options;
  const { code } = asKeywardError(error);
  log.error('job on keys failed', { code, correlationId: job.origin.correlationId, error });
  try {
    const facts = { verb: job.kind, rule: 'keys.jobs', resources: [], keyIds: [] };
    await recorder.record([events.alarm(facts, { code, correlationId: job.origin.correlationId })]);
    await failJob(pool, tenant, job.id, code, clock.now());
  } catch (later) {
    log.error('failure of a job on keys not recorded', { error: later, correlationId: job.origin.correlationId });
  }
}

/** Ends early, and without an error, when the signal does. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined);
