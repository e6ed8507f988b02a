/** Waits for a job on keys, and shows how far it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '@keyward/sdk/seal';
import { type ErrorCode, ERRORS, KeywardError } from '../../core/index.ts';
import type { Terminal } from '../terminal.ts';
import { REPAINT } from '../terminal.ts';
import { at, listAt, textAt } from '../json.ts';
import type { KeysDesk } from './desk.ts';

const POLL_INTERVAL_MS = 500;

/** Kind of job → kind of the one that it orders, without which it is not all done. */
const THEN: Readonly<Record<string, string>> = { 'rotate-kek': 'rewrap' };

/** The last job as it ended. @throws KeywardError with its code when it failed or left something over, `CLI_INTERRUPTED` on Ctrl-C */
export async function waitForJob(desk: KeysDesk, id: string, terminal: Terminal): Promise<Json> {
  const { err } = terminal;
  const stop = new AbortController();
  const forget = terminal.onInterrupt(() => stop.abort());
  let shown = '';
  try {
    for (let of = id; ; ) {
      const jobs = await listJobs(desk);
      const job = jobs.find((one) => textAt(one, 'id') === of);
      if (job === undefined) throw new KeywardError('CLI_REQUEST_FAILED', { detail: 'the job is not listed' });
      const line = `${textAt(job, 'kind')} ${numberAt(job, 'done')} of ${numberAt(job, 'total')}`;
      if (line !== shown) err.write(err.isTty ? `${REPAINT}${line}` : `${line}\n`);
      shown = line;
      const next = nextOf(job, jobs);
      if (textAt(job, 'state') !== 'running' && next === undefined) return ended(job);
      if (next !== undefined) of = next;
      await sleep(POLL_INTERVAL_MS, undefined, { signal: stop.signal }).catch(() => {
        throw new KeywardError('CLI_INTERRUPTED');
      });
    }
  } finally {
    if (err.isTty) err.write('\n');
    forget();
  }
}

const listJobs = async (desk: KeysDesk): Promise<readonly Json[]> => listAt(await desk.ask('jobs', {}), 'jobs');

/** Of one that ended well; jobs are listed from the newest on. */
function nextOf(job: Json, jobs: readonly Json[]): string | undefined {
  const kind = THEN[textAt(job, 'kind') ?? ''];
  if (kind === undefined || textAt(job, 'state') !== 'done' || textAt(job, 'code') !== undefined) return undefined;
  return textAt(
    jobs.find((one) => textAt(one, 'kind') === kind),
    'id',
  );
}

const numberAt = (job: Json, name: string): string => {
  const value = at(job, name);
  return typeof value === 'number' ? String(value) : '?';
};

function ended(job: Json): Json {
  const code = textAt(job, 'code');
  if (code !== undefined)
    throw new KeywardError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'CLI_REQUEST_FAILED');
  return job;
}
