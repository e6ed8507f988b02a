/** What is due by itself: cryptoperiods, wear, destructions, expiries. The custodian that leads looks again and again. */
import { asKeywardError, type ErrorCode, newUuid } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import { CUSTODIAN_ITSELF } from '../operators.ts';
import { query } from '../query.ts';
import type { RequireSteadyClock } from '../steady-clock.ts';
import { usageOf } from '../usage.ts';
import type { Cryptoperiods } from './cryptoperiods.ts';
import type { JobParts } from './parts.ts';
import type { Presence } from './presence.ts';
import type { KeyRotation } from './rotate-keys.ts';
import { pause } from './runner.ts';
import { insertJob } from './table.ts';

export interface ScheduleOptions extends JobParts {
  readonly cryptoperiods: Cryptoperiods;
  readonly requireSteadyClock: RequireSteadyClock;
  /** @throws KeywardError `KEYS_ROLLED_BACK` */
  readonly requireNewest: () => void;
  readonly rotation: Pick<KeyRotation, 'renew'>;
  readonly presence: Presence;
  /** What other parts of the custodian have to do when its time has come, by name. Each does what is due once, whoever calls. */
  readonly others: Readonly<Record<string, (now: Date) => Promise<unknown>>>;
  readonly tickMs: number;
}

type Task = (options: ScheduleOptions, alarms: Alarms) => Promise<unknown>;

/** Each claims what it does in the row that makes it due, so that two custodians that lead for a moment do it once. */
const TASKS: Readonly<Record<string, Task>> = {
  'rotate the KEK': rotateKek,
  'rotate the key for certificates': rotateSigningKey,
  'look at the age of the root key': lookAtRoot,
  'forget custodians that ended': ({ presence }) => presence.forgetTheDead(),
  'forget old news': forgetNews,
};

/** Resolves once `signal` has ended it. */
export async function keepSchedule(options: ScheduleOptions, signal: AbortSignal): Promise<void> {
  const alarms = createAlarms(options);
  while (!signal.aborted) {
    await runDue(options, alarms);
    await pause(options.tickMs, signal);
  }
}

/** One round. While the clock is back behind what was done already, nothing that it decides is done. */
export async function runDue(options: ScheduleOptions, alarms = createAlarms(options)): Promise<void> {
  const { log, clock, others, requireNewest, requireSteadyClock } = options;
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      log.warn(`not done by the schedule: ${what}`, { code: asKeywardError(error).code, error });
      return false;
    }
  };
  const isFit = async () => {
    requireNewest();
    await requireSteadyClock();
  };
  if (!(await attempt('look at clock and database', isFit))) return;
  for (const [what, task] of Object.entries(TASKS)) await attempt(what, () => task(options, alarms));
  for (const [what, other] of Object.entries(others)) await attempt(what, () => other(clock.now()));
}

/** Raises an alarm about one thing once, and again when it is still so the next day. */
type Alarms = (about: string, code: ErrorCode, keyIds: readonly string[]) => Promise<void>;

const DAY_MS = 86_400_000;

function createAlarms({ recorder, events, log, clock }: ScheduleOptions): Alarms {
  const raised = new Map<string, number>();
  return async (about, code, keyIds) => {
    const now = clock.now().getTime();
    if (now - (raised.get(`${about} ${code}`) ?? Number.NEGATIVE_INFINITY) < DAY_MS) return;
    const correlationId = newUuid();
    log.warn('a key needs attention', { code, correlationId });
    const facts = { verb: 'schedule', rule: 'keys.schedule', resources: [about], keyIds };
    await recorder.record([events.alarm(facts, { code, correlationId })]);
    raised.set(`${about} ${code}`, now);
  };
}

interface ActiveKek {
  readonly version: number;
  readonly id: Buffer;
  readonly since: Date;
  readonly uses: string;
}

const ACTIVE = `
  SELECT version, id, coalesce(activated_at, created_at) AS since, uses FROM kek WHERE tenant = $1 AND state = 'active'`;

/** A rotation that failed is tried again after this time, and an alarm is raised when that has not helped. */
const RETRY_MS = 10 * 60_000;
const OVERRUN_MS = DAY_MS;

async function rotateKek(options: ScheduleOptions, alarms: Alarms): Promise<void> {
  const { pool, tenant, clock, cryptoperiods } = options;
  const [active] = await query<ActiveKek>(pool, ACTIVE, [tenant]);
  if (active === undefined) return;
  const ref = `kek/${active.version}`;
  const keyIds = [active.id.toString('hex')];
  const usage = usageOf(Number(active.uses));
  if (usage === 'warn') await alarms(ref, 'KEYS_WORN', keyIds);
  const overMs = clock.now().getTime() - active.since.getTime() - cryptoperiods.ms('kek');
  if (overMs >= OVERRUN_MS) await alarms(ref, 'KEYS_OVERDUE', keyIds);
  if (overMs >= 0) await orderRotation(options, active.version, 'the cryptoperiod is over');
  else if (usage === 'rotate' || usage === 'exhausted')
    await orderRotation(options, active.version, 'three quarters of its uses are over');
}

const FAILED_LATELY = `
  SELECT FROM key_job WHERE tenant = $1 AND kind = 'rotate-kek' AND state = 'failed' AND updated_at > $2`;

const CLAIM = "SELECT FROM kek WHERE tenant = $1 AND version = $2 AND state = 'active' FOR UPDATE";

/** The KEK's own row is the claim: it is rotated away once, and while a rotation runs there is no second one. */
async function orderRotation({ pool, tenant, clock }: ScheduleOptions, version: number, reason: string): Promise<void> {
  const now = clock.now();
  const failed = await query(pool, FAILED_LATELY, [tenant, new Date(now.getTime() - RETRY_MS)]);
  if (failed.length > 0) return;
  await withTransaction(pool, async (client) => {
    const { rowCount } = await client.query(CLAIM, [tenant, version]);
    if (rowCount !== 1) return;
    await insertJob(client, tenant, 'rotate-kek', { by: CUSTODIAN_ITSELF, reason, correlationId: newUuid() }, now);
  });
}

const SIGNING = `
  SELECT encode(id, 'hex') AS id, kind, scope FROM data_key
  WHERE tenant = $1 AND kind = 'signature' AND state = 'active' AND coalesce(activated_at, created_at) <= $2`;

async function rotateSigningKey({ pool, tenant, clock, cryptoperiods, rotation }: ScheduleOptions): Promise<void> {
  const before = new Date(clock.now().getTime() - cryptoperiods.ms('signing'));
  const keys = await query<{ id: string; kind: string; scope: string }>(pool, SIGNING, [tenant, before]);
  if (keys.length === 0) return;
  const why = { by: CUSTODIAN_ITSELF, reason: 'the cryptoperiod is over', correlationId: newUuid() };
  await rotation.renew(keys, why);
}

/** Since the first KEK stood on the root of the active one, whether that KEK is still there or not. */
const ROOT_SINCE = `
  SELECT min(coalesce(k.rooted_at, k.created_at)) AS since FROM kek k
  WHERE k.tenant = $1 AND k.root = (SELECT a.root FROM kek a WHERE a.tenant = $1 AND a.state = 'active')`;

/** A root is changed by people: it can only be told that it is time. */
async function lookAtRoot({ pool, tenant, clock, cryptoperiods }: ScheduleOptions, alarms: Alarms): Promise<void> {
  const [row] = await query<{ since: Date | null }>(pool, ROOT_SINCE, [tenant]);
  if (!row?.since) return;
  if (clock.now().getTime() - row.since.getTime() >= cryptoperiods.ms('root')) await alarms('root', 'KEYS_OVERDUE', []);
}

/** Whoever was away for longer is told to drop everything. */
const NEWS_KEPT_MS = DAY_MS;
const FORGET_NEWS = 'DELETE FROM key_news WHERE tenant = $1 AND at < $2';

async function forgetNews({ pool, tenant, clock }: ScheduleOptions): Promise<void> {
  await query(pool, FORGET_NEWS, [tenant, new Date(clock.now().getTime() - NEWS_KEPT_MS)]);
}
