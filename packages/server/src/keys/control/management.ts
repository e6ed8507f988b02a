/** The custodian's desk for operators: who asks → whether the role may → what exactly → approvals → ledger entry → done. */
import type { Pool } from 'pg';
import { z } from 'zod';
import { asKeywardError, type Clock, KeywardError, type Log } from '../../core/index.ts';
import type { Recorder } from '../recorder.ts';
import type { Act, Question } from './act.ts';
import { createApproverKeys } from './approver-keys.ts';
import { createDualControl, type RequestView, rolesFor } from './dual-control.ts';
import { type ControlFacts, createControlEvents } from './events.ts';
import { operatorActs, operatorQuestions } from './operator-acts.ts';
import {
  createPeople,
  type FirstOperators,
  type Identified,
  type People,
  requireRole,
  type VerifyToken,
} from './people.ts';
import { createSettings, type Setting } from './settings.ts';

export interface ManagementOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly log: Log;
  readonly verifyToken: VerifyToken;
  readonly approvals: { readonly needed: number; readonly ttlHours: number };
  readonly firstOperators: FirstOperators;
  /** Whose tokens can come now: roles of people of other issuers do not count. */
  readonly issuers: readonly string[];
  /** Of the modules of this room, beside those of this desk. */
  readonly acts: readonly Act[];
  readonly questions: readonly Question[];
  /** Of the modules of this room, beside those of this desk. */
  readonly settings: readonly Setting[];
  /** Recovery's: refuses acts on a database that was put back, and notes their effects before they are answered. */
  readonly noted: (acts: readonly Act[]) => Act[];
  /** @throws KeywardError `KEYS_CLOCK_BACK` */
  readonly requireSteadyClock: () => Promise<void>;
}

/** One call of an operator, as it comes over the socket. */
export interface ManagementCall {
  /** The operator's own token: `Bearer …`. */
  readonly operator: string | undefined;
  readonly correlationId: string;
  readonly body: unknown;
}

/** An act was done, or waits for approvals. */
export type ActAnswer = { readonly result: unknown } | { readonly request: RequestView };

export interface Management {
  readonly acts: readonly Act[];
  readonly questions: readonly Question[];
  act(name: string, call: ManagementCall): Promise<ActAnswer>;
  ask(name: string, call: ManagementCall): Promise<unknown>;
  requests(call: ManagementCall): Promise<{ readonly requests: readonly RequestView[] }>;
  approve(id: string, call: ManagementCall): Promise<RequestView>;
  cancel(id: string, call: ManagementCall): Promise<RequestView>;
  /** Records that a process which carries no operators' calls tried to. */
  recordOther(process: string, correlationId: string): Promise<void>;
  /** Gives the first operators their roles, and finishes what was interrupted. */
  start(): Promise<void>;
}

/** One line; never PHI, which operators are told where they write it. */
const reason = z.string().regex(/^[^\p{Cc}\p{Cs}]{1,500}$/u);
const actBody = z.strictObject({ params: z.unknown(), reason });
const questionBody = z.strictObject({ params: z.unknown() });
const approveBody = z.strictObject({ signature: z.string().regex(/^[\w-]{86}$/) });
const cancelBody = z.strictObject({ reason });
const requestId = z.uuid();
const listBody = z.union([z.strictObject({ which: z.enum(['open', 'newest']) }), z.strictObject({ id: requestId })]);

const HOUR_MS = 3_600_000;

const NEEDED: Omit<Setting, 'configured'> = {
  name: 'approvals.needed',
  summary: 'Approvals that a request takes.',
  value: z.int().min(1).max(10),
  stricter: Math.max,
};
const TTL_HOURS: Omit<Setting, 'configured'> = {
  name: 'approvals.ttlHours',
  summary: 'Hours until a request expires.',
  value: z.int().min(1).max(720),
  stricter: Math.min,
};

export function createManagement(options: ManagementOptions): Management {
  const { pool, tenant, clock, recorder, log, approvals } = options;
  const events = createControlEvents(tenant, clock);
  const people = createPeople(options);
  const approverKeys = createApproverKeys(pool, tenant, clock);
  const needed = { ...NEEDED, configured: approvals.needed };
  const ttlHours = { ...TTL_HOURS, configured: approvals.ttlHours };
  const settings = createSettings({ pool, tenant, clock, settings: [needed, ttlHours, ...options.settings] });
  const operators = { tenant, people, approverKeys, needed: () => settings.read(needed) };
  const acts = options.noted([...options.acts, ...settings.acts, ...operatorActs(operators)]);
  const questions = [...options.questions, ...settings.questions, ...operatorQuestions(operators)];
  const actOf = named(acts);
  const questionOf = named(questions);
  const dual = createDualControl({
    ...options,
    events,
    people,
    approverKeys,
    actOf,
    rules: async () => ({
      needed: await settings.read(needed),
      ttlMs: (await settings.read(ttlHours)) * HOUR_MS,
    }),
  });
  const served = serving({ people, recorder, log, events });
  const permitted = (facts: ControlFacts, rule: string) => recorder.record([events.permitted(facts, rule)]);
  return {
    acts,
    questions,
    act: (name, call) =>
      served(call, `keys.${nameIn(acts, name)}`, async (by, told) => {
        const act = actOf(name);
        const role = requireRole(by, rolesFor(act));
        const body = read(actBody, call.body);
        const params = read(act.params, body.params);
        const facts = told({ resources: act.resources(params), reason: body.reason });
        if (act.dual) {
          const request = { ...facts, interaction: `keys.request.${act.name}` };
          return { request: await dual.request(act, params, by, request) };
        }
        await permitted(facts, `keys.role.${role}`);
        const result = await act.run(params, { by, reason: body.reason, correlationId: call.correlationId });
        return { result: result ?? null };
      }),
    ask: (name, call) =>
      served(call, `keys.ask.${nameIn(questions, name)}`, async (by, told) => {
        const question = questionOf(name);
        const role = requireRole(by, question.roles);
        const params = read(question.params, read(questionBody, call.body).params);
        await permitted(told({ resources: question.resources(params) }), `keys.role.${role}`);
        return question.answer(params, { by });
      }),
    requests: (call) =>
      served(call, 'keys.requests', async (by, told) => {
        const wanted = read(listBody, call.body);
        const role = requireRole(by, ['approver', 'auditor', 'key-creator', 'key-rotator', 'key-destroyer']);
        await permitted(told({}), `keys.role.${role}`);
        return { requests: 'id' in wanted ? [await dual.find(wanted.id)] : await dual.list(wanted.which) };
      }),
    approve: (id, call) =>
      served(call, 'keys.request.approve', async (by, told) => {
        const signature = Buffer.from(read(approveBody, call.body).signature, 'base64url');
        return dual.approve(read(requestId, id), signature, by, told({}));
      }),
    cancel: (id, call) =>
      served(call, 'keys.request.cancel', (by, told) => {
        const body = read(cancelBody, call.body);
        return dual.cancel(read(requestId, id), by, told({ reason: body.reason }));
      }),
    recordOther: (process, correlationId) => recorder.record([events.otherProcess(process, correlationId)]),
    async start() {
      await people.bootstrap(options.firstOperators, (first) =>
        recorder.record(first.map((one) => events.firstOperator(one))),
      );
      await dual.resume();
    },
  };
}

const named =
  <Row extends { readonly name: string }>(rows: readonly Row[]) =>
  (name: string): Row => {
    const found = rows.find((row) => row.name === name);
    if (found) return found;
    throw new KeywardError('KEYS_REQUEST_INVALID', { detail: 'There is no act and no question of that name.' });
  };

/** The name for the record: a caller's own invention does not get there. */
const nameIn = (rows: readonly { readonly name: string }[], name: string): string =>
  rows.find((row) => row.name === name)?.name ?? 'unknown';

/** Names the members at fault and never their values. */
function read<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const names = result.error.issues.map(({ path, message }) => path.map(String).join('.') || message);
  throw new KeywardError('KEYS_REQUEST_INVALID', { detail: `Not acceptable: ${[...new Set(names)].join(', ')}.` });
}

type Told = (more: Pick<ControlFacts, 'resources' | 'reason'>) => ControlFacts;

interface Serving {
  readonly people: People;
  readonly recorder: Recorder;
  readonly log: Log;
  readonly events: ReturnType<typeof createControlEvents>;
}

/** Knows the operator before anything else is looked at, and records every refusal. */
function serving({ people, recorder, log, events }: Serving) {
  return async <T>(
    { operator, correlationId }: ManagementCall,
    interaction: string,
    work: (by: Identified, told: Told) => Promise<T>,
  ): Promise<T> => {
    let facts: ControlFacts = { interaction, correlationId };
    try {
      const by = await people.identify(operator);
      facts = { ...facts, by };
      return await work(by, (more) => (facts = { ...facts, ...more }));
    } catch (thrown) {
      const error = asKeywardError(thrown);
      log.warn('operator refused', { code: error.code, correlationId, error: thrown });
      // A ledger that just refused one record is not asked for another within the same request.
      if (error.code !== 'LEDGER_UNAVAILABLE') await recorder.record([events.refused(facts, error.code)]);
      throw error;
    }
  };
}
