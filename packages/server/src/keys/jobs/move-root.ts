/** The move to another root: every KEK is wrapped by it, one after the other, while serving goes on. */
import { asKeywardError, KeywardError } from '../../core/index.ts';
import { nameBeforeUse, nameOfRoot, wrapKek } from '../kek-roots.ts';
import { query } from '../query.ts';
import type { Root } from '../roots/root.ts';
import type { JobParts } from './parts.ts';
import type { Presence } from './presence.ts';
import type { Step } from './runner.ts';
import type { Job } from './table.ts';

export interface MoveRootOptions extends JobParts {
  /** Undefined where the configuration names none. */
  readonly nextRoot: Root | undefined;
  readonly presence: Presence;
}

interface Row {
  readonly version: number;
  readonly id: Buffer;
  readonly wrapped: Buffer;
}

const LEFT = `
  SELECT version, id, wrapped FROM kek
  WHERE tenant = $1 AND wrapped IS NOT NULL AND root <> $2 AND version > $3 ORDER BY version`;
/** Only where it is still what was opened: a KEK that was destroyed meanwhile stays destroyed. */
const MOVE = `
  UPDATE kek SET root = $4, wrapped = $5, rooted_at = $6 WHERE tenant = $1 AND version = $2 AND wrapped = $3`;

/** Cursor: the last version that was moved, or passed by because it does not open. */
export function createMoveRoot(options: MoveRootOptions): Step {
  const { pool, tenant, clock, keks, recorder, events, log } = options;
  return async (job, commit) => {
    const root = await requireReachable(options);
    const rows = await query<Row>(pool, LEFT, [tenant, nameOfRoot(root), Number(job.cursor)]);
    const [row] = rows;
    if (row === undefined) return commit(() => ending(options, job, root));
    const { version, id } = row;
    const keyIds = [id.toString('hex')];
    const facts = { verb: 'kek.move', rule: 'keys.jobs.move-root', resources: [`kek/${version}`], keyIds };
    await recorder.record([events.changing(facts, job.origin)]);
    const total = job.total ?? rows.length;
    try {
      const wrapped = await wrapKek(root, tenant, version, await keks.open(version));
      return await commit(async (client) => {
        const moved = [tenant, version, row.wrapped, nameOfRoot(root), wrapped, clock.now()];
        const { rowCount } = await client.query(MOVE, moved);
        return { cursor: String(version), done: job.done + (rowCount ?? 0), total };
      });
    } catch (error) {
      const { code } = asKeywardError(error);
      if (code !== 'KEYS_NOT_AUTHENTIC' && code !== 'KEYS_ROOT_MISMATCH') throw error;
      const { correlationId } = job.origin;
      log.error('KEK does not open', { code, correlationId });
      await recorder.record([events.alarm(facts, { code, correlationId })]);
      return commit(async () => ({ cursor: String(version), done: job.done, total }));
    }
  };
}

/** A custodian that cannot reach the new root would not start again. */
async function requireReachable({ nextRoot, presence }: MoveRootOptions): Promise<Root> {
  if (nextRoot === undefined) throw new KeywardError('KEYS_ROOT_UNUSABLE', { detail: 'keys.nextRoot names none.' });
  if (await presence.allCanReach([nameOfRoot(nextRoot), nameBeforeUse(nextRoot)])) return nextRoot;
  throw new KeywardError('KEYS_ROOT_UNUSABLE', { detail: 'Not every custodian that runs has keys.nextRoot.' });
}

/** KEKs that were made behind the cursor, or that were not there yet, are looked for once more. */
async function ending({ pool, tenant, recorder, events, log }: MoveRootOptions, job: Job, root: Root) {
  const left = await query<Row>(pool, LEFT, [tenant, nameOfRoot(root), 0]);
  const { correlationId } = job.origin;
  const reason = `${job.done} KEKs moved; ${left.length} left, which do not open`;
  const resources = left.map(({ version }) => `kek/${version}`);
  const facts = { verb: 'move-root.verify', rule: 'keys.jobs.move-root', resources, keyIds: [] };
  await recorder.record([events.changing(facts, { ...job.origin, reason })]);
  log.info('KEKs stand on keys.nextRoot: make it keys.root', { count: job.done, correlationId });
  const ended = left.length > 0 ? ({ code: 'KEYS_NOT_AUTHENTIC' } as const) : {};
  return { cursor: job.cursor, done: job.done, ended };
}
