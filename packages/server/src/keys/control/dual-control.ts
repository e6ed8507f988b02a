/** M of N: what was asked for waits here until enough approvers have signed it, and is then done once (K5). */
import type { Pool, PoolClient } from 'pg';
import { asKeywardError, type Clock, type ErrorCode, KeywardError, type Log, newUuid } from '../../core/index.ts';
import { withClient, withTransaction } from '../../db/index.ts';
import { nameOfPerson } from '../operators.ts';
import type { Recorder } from '../recorder.ts';
import type { Act } from './act.ts';
import type { ApproverKeys } from './approver-keys.ts';
import type { ControlEvents, ControlFacts } from './events.ts';
import { type Identified, isSame, type People, requireRole } from './people.ts';
import { createQueue } from './queue.ts';
import { isApproval } from './request-terms.ts';
import { type Approval, createRequests, isIntact, type RequestState, type StoredRequest } from './requests.ts';

export interface ApprovalRules {
  readonly needed: number;
  readonly ttlMs: number;
}

export interface DualControlOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly log: Log;
  readonly events: ControlEvents;
  readonly people: People;
  readonly approverKeys: ApproverKeys;
  readonly rules: () => Promise<ApprovalRules>;
  readonly actOf: (name: string) => Act;
  /** @throws KeywardError `KEYS_CLOCK_BACK`: then nothing is approved, since nobody knows what has expired. */
  readonly requireSteadyClock: () => Promise<void>;
}

/** A request as operators see it. Whoever approves it computes its digest from these terms, and signs that. */
export interface RequestView {
  readonly tenant: string;
  readonly id: string;
  readonly act: string;
  readonly params: unknown;
  readonly requester: { readonly issuer: string; readonly sub: string };
  readonly reason: string;
  readonly needed: number;
  readonly expiresAt: string;
  /** 64 hex digits. */
  readonly digest: string;
  readonly createdAt: string;
  readonly state: RequestState | 'expired' | 'altered';
  readonly approvals: readonly { readonly issuer: string; readonly sub: string; readonly at: string }[];
  readonly endedAt?: string;
  readonly result?: unknown;
}

export interface DualControl {
  request(act: Act, params: unknown, by: Identified, facts: ControlFacts): Promise<RequestView>;
  /** The last approval that is needed does the act; the answer tells how it ended. */
  approve(id: string, signature: Buffer, by: Identified, facts: ControlFacts): Promise<RequestView>;
  cancel(id: string, by: Identified, facts: ControlFacts): Promise<RequestView>;
  find(id: string): Promise<RequestView>;
  list(which: 'open' | 'newest'): Promise<RequestView[]>;
  /** Finishes what a custodian that was killed had begun. */
  resume(): Promise<void>;
}

/** Held while an act is being done, by this custodian or another on the same database. */
const TRY_LOCK = `SELECT pg_try_advisory_lock(hashtextextended('keyward control_request ' || $1, 0)) AS held`;
const UNLOCK = `SELECT pg_advisory_unlock(hashtextextended('keyward control_request ' || $1, 0))`;

export function createDualControl(options: DualControlOptions): DualControl {
  const { pool, tenant, clock, recorder, events, rules } = options;
  const requests = createRequests(pool, tenant);
  // Each waits for the ledger while it holds a connection: side by side they could hold all that the ledger needs to go on.
  const oneByOne = createQueue();
  const execute = createQueue();
  const view = async (id: string) => viewOf(await requests.find(id), clock.now());
  return {
    async request(act, params, requester, facts) {
      const { needed, ttlMs } = await rules();
      const now = clock.now();
      if ((await requests.openOf(requester, now)) >= MAX_OPEN) throw new KeywardError('KEYS_REQUESTS_TOO_MANY');
      const { issuer, sub } = requester;
      const terms = {
        tenant,
        id: newUuid(),
        act: act.name,
        params,
        requester: { issuer, sub },
        reason: facts.reason ?? '',
        needed,
        expiresAt: new Date(now.getTime() + ttlMs),
      };
      const resources = [nameOf(terms.id), ...(facts.resources ?? [])];
      await recorder.record([events.permitted({ ...facts, resources }, 'keys.request')]);
      await requests.insert(terms, now);
      return view(terms.id);
    },
    async approve(id, signature, by, facts) {
      const complete = await oneByOne(() => addApproval(options, requests, id, signature, by, facts));
      if (complete) await execute(() => executeOnce(options, requests, id));
      return view(id);
    },
    async cancel(id, by, facts) {
      await oneByOne(() =>
        withTransaction(pool, async (client) => {
          const request = await requests.lock(client, id);
          if (request.state !== 'pending') throw new KeywardError('KEYS_REQUEST_ENDED');
          if (!isSame(by, request.requester)) requireRole(by, ['approver']);
          await recorder.record([events.permitted({ ...facts, resources: [nameOf(id)] }, 'keys.request')]);
          await requests.move(client, request, 'pending', { state: 'cancelled', endedAt: clock.now() });
        }),
      );
      return view(id);
    },
    find: view,
    async list(which) {
      const now = clock.now();
      const found = which === 'open' ? await requests.open(now) : await requests.newest();
      return found.map((request) => viewOf(request, now));
    },
    async resume() {
      for (const { id } of await requests.executing())
        await execute(() => executeOnce(options, requests, id, { interrupted: true }));
    },
  };
}

/** Requests of one person that wait: more would hide one among them from those who approve. */
const MAX_OPEN = 20;

/** An act that was cut off is done so long after the request expired, and then never. */
const RESUME_MARGIN_MS = 15 * 60_000;

type Requests = ReturnType<typeof createRequests>;

const nameOf = (id: string): string => `ControlRequest/${id}`;

/** Answers whether it was the last that is needed. */
function addApproval(
  { pool, clock, recorder, events, approverKeys, rules, requireSteadyClock }: DualControlOptions,
  requests: Requests,
  id: string,
  signature: Buffer,
  by: Identified,
  facts: ControlFacts,
): Promise<boolean> {
  return withTransaction(pool, async (client) => {
    const request = await requests.lock(client, id);
    await requireSteadyClock();
    requireOpen(request, clock.now());
    await requireFirstTime(requests, request);
    requireRole(by, ['approver']);
    const publicKey = await approverKeys.of(by);
    requireCounting(request, by, publicKey, signature);
    const approval = { issuer: by.issuer, sub: by.sub, publicKey: publicKey!, signature, at: clock.now() };
    await recorder.record([events.permitted({ ...facts, resources: [nameOf(id)] }, 'keys.role.approver')]);
    await requests.addApproval(client, id, approval);
    const { needed } = await rules();
    const complete = request.approvals.length + 1 >= Math.max(request.needed, needed);
    if (complete) await requests.move(client, request, 'pending', { state: 'executing' });
    return complete;
  });
}

/** @throws KeywardError `KEYS_REQUEST_ALTERED` where its row was put back to before its end */
async function requireFirstTime(requests: Requests, request: StoredRequest): Promise<void> {
  if (await requests.hasEnded(request)) throw new KeywardError('KEYS_REQUEST_ALTERED');
}

/** @throws KeywardError `KEYS_REQUEST_ALTERED` | `KEYS_REQUEST_ENDED` */
function requireOpen(request: StoredRequest, now: Date): void {
  if (!isIntact(request)) throw new KeywardError('KEYS_REQUEST_ALTERED');
  if (request.state !== 'pending' || request.expiresAt <= now) throw new KeywardError('KEYS_REQUEST_ENDED');
}

/** @throws KeywardError `KEYS_APPROVAL_REFUSED` */
function requireCounting(
  { requester, approvals, digest }: StoredRequest,
  by: Identified,
  publicKey: Buffer | undefined,
  signature: Buffer,
): void {
  const refuse = (detail: string): never => {
    throw new KeywardError('KEYS_APPROVAL_REFUSED', { detail });
  };
  if (isSame(by, requester)) refuse('Nobody approves what he asked for himself.');
  if (approvals.some((one) => isSame(one, by))) refuse('You have approved it already.');
  if (publicKey === undefined) return refuse('You have enrolled no key: "keyward keys enroll".');
  if (!isApproval(publicKey, digest, signature)) refuse('The signature is not by your enrolled key over this request.');
}

interface Ending {
  readonly state: 'executed' | 'failed';
  readonly result: unknown;
}

/** Whoever finds the lock taken leaves it to the one who has it. */
function executeOnce(
  options: DualControlOptions,
  requests: Requests,
  id: string,
  { interrupted = false } = {},
): Promise<void> {
  return withClient(options.pool, async (client) => {
    if (!(await tryLock(client, id))) return;
    const request = await requests.find(id);
    if (request.state === 'executing') {
      const { state, result } = await runApproved(options, requests, request, interrupted);
      await requests.move(client, request, 'executing', { state, result, endedAt: options.clock.now() });
    }
    await client.query(UNLOCK, [id]);
  });
}

async function tryLock(client: PoolClient, id: string): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(TRY_LOCK, [id]);
  return rows[0]?.held === true;
}

async function runApproved(
  options: DualControlOptions,
  requests: Requests,
  request: StoredRequest,
  interrupted: boolean,
): Promise<Ending> {
  const { id, params, reason, requester } = request;
  const { recorder, events, people, log } = options;
  const facts = { interaction: `keys.${request.act}`, correlationId: id, by: requester, reason };
  try {
    await requireFirstTime(requests, request);
    if (options.clock.now().getTime() > request.expiresAt.getTime() + RESUME_MARGIN_MS)
      throw new KeywardError('KEYS_REQUEST_ENDED');
    const act = options.actOf(request.act);
    const by = await people.rolesOf(requester);
    if (interrupted && !act.repeatable) throw new KeywardError('KEYS_ACT_INTERRUPTED');
    requireRole(by, rolesFor(act));
    const approvers = await requireApprovals(options, request);
    const parsed = act.params.parse(params);
    const rule = `keys.approved by ${approvers.map(nameOfPerson).join(', ')}`;
    await recorder.record([events.permitted({ ...facts, resources: [nameOf(id), ...act.resources(parsed)] }, rule)]);
    return {
      state: 'executed',
      result:
        (await act.run(parsed, { by, reason, correlationId: id, approvals: request.digest.toString('hex') })) ?? null,
    };
  } catch (thrown) {
    const { code, detail } = asKeywardError(thrown);
    log.warn('approved act failed', { code, correlationId: id, error: thrown });
    await recordFailure(options, { ...facts, resources: [nameOf(id)] }, code);
    return { state: 'failed', result: { code, ...(detail === undefined ? {} : { detail }) } };
  }
}

/** Every approval once more, by the keys and roles of now: what was planted in the table does not count. */
async function requireApprovals(
  { people, approverKeys, rules }: DualControlOptions,
  request: StoredRequest,
): Promise<readonly Approval[]> {
  if (!isIntact(request)) throw new KeywardError('KEYS_REQUEST_ALTERED');
  const counting: Approval[] = [];
  for (const approval of request.approvals) {
    const key = await approverKeys.of(approval);
    const { roles } = await people.rolesOf(approval);
    const isOwn = key !== undefined && key.equals(approval.publicKey) && !isSame(approval, request.requester);
    if (isOwn && roles.includes('approver') && isApproval(key, request.digest, approval.signature))
      counting.push(approval);
  }
  const { needed } = await rules();
  if (counting.length >= Math.max(request.needed, needed)) return counting;
  throw new KeywardError('KEYS_APPROVAL_REFUSED', { detail: 'Too few of its approvals count.' });
}

/** The request ends as failed whether or not that can be recorded. */
async function recordFailure({ recorder, events, log }: DualControlOptions, facts: ControlFacts, code: ErrorCode) {
  await recorder
    .record([events.refused(facts, code)])
    .catch((error: unknown) => log.error('failure not recorded', { error, correlationId: facts.correlationId }));
}

export const rolesFor = ({ role }: Act) => (typeof role === 'string' ? [role] : role);

function viewOf(request: StoredRequest, now: Date): RequestView {
  const { tenant, id, act, params, requester, reason, needed, approvals, endedAt, result } = request;
  const state = !isIntact(request) ? 'altered' : request.state;
  return {
    tenant,
    id,
    act,
    params,
    requester,
    reason,
    needed,
    expiresAt: request.expiresAt.toISOString(),
    digest: request.digest.toString('hex'),
    createdAt: request.createdAt.toISOString(),
    state: state === 'pending' && request.expiresAt <= now ? 'expired' : state,
    approvals: approvals.map(({ issuer, sub, at }) => ({ issuer, sub, at: at.toISOString() })),
    ...(endedAt === undefined ? {} : { endedAt: endedAt.toISOString() }),
    ...(result === undefined ? {} : { result }),
  };
}
