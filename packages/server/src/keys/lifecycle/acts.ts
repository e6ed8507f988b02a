/** What operators can do to the life of keys, and ask about it: rows for the tables of control. */
import { z } from 'zod';
import type { Act, ActContext, Question } from '../control/act.ts';
import { KEY_STATES } from '../lifecycle.ts';
import { OPERATOR_ROLES, type OperatorRole } from '../operators.ts';
import type { KeyLife } from './life.ts';
import { ACCEPTANCE_MAX_DAYS } from './risks.ts';
import type { Step } from './transition.ts';
import { canonicalRef } from './versions.ts';

/** Anything a reference can name. What names nothing is refused before it is recorded. */
const anyKey = z
  .string()
  .max(200)
  .refine(isRef, 'no key reference')
  .meta({ description: 'e.g. kek/3, key/<hex>, subject/<uuid>, tenant' });

const doomed = z
  .string()
  .regex(/^(kek\/[1-9]\d{0,8}|key\/[0-9a-f]{32}|subject\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/)
  .meta({ description: 'kek/N, key/HEX or subject/UUID' });

const subjectScope = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  .meta({ description: 'Scope of the patient (UUID).' });

function isRef(text: string): boolean {
  try {
    return canonicalRef(text) === text;
  } catch {
    return false;
  }
}

const MANAGERS: readonly OperatorRole[] = ['key-creator', 'key-rotator', 'key-destroyer'];

/** Gives each row its own type of parameters, and the table one. */
const act = <Params>(row: Act<Params>): Act => row;
const question = <Params>(row: Question<Params>): Question => row;

interface Target {
  readonly target: string;
}

const target = z.strictObject({ target: anyKey });
const targetOf = (params: Target): readonly string[] => [params.target];

const STEP_SUMMARIES: Readonly<Record<Step, string>> = {
  activate: 'Let a key that was made in advance protect.',
  suspend: 'Stop a key for now; what it protected opens only where the risk is accepted.',
  resume: 'Let a suspended key protect again.',
  deactivate: 'End what a key protects; what it protected still opens.',
  compromise: 'Mark a key as known to others: it stops at once, for good.',
};

const stepActs = (life: KeyLife): Act[] =>
  (Object.keys(STEP_SUMMARIES) as Step[]).map((step) =>
    act({
      name: step,
      summary: STEP_SUMMARIES[step],
      role: step === 'compromise' ? MANAGERS : 'key-rotator',
      dual: false,
      params: target,
      resources: targetOf,
      run: (params, context) => life.step(step, params.target, whyOf(context)),
    }),
  );

export const lifeActs = (life: KeyLife): Act[] => [
  ...stepActs(life),
  act({
    name: 'destroy',
    summary: 'Destroy a key after the waiting period; until then nothing can use it.',
    role: 'key-destroyer',
    dual: true,
    repeatable: true,
    params: z.strictObject({ target: doomed }),
    resources: targetOf,
    run: (params, context) => life.order(params.target, whyOf(context)),
  }),
  act({
    name: 'shred',
    summary: "Destroy every key of one patient, so that none of the patient's sealed data opens again.",
    role: 'key-destroyer',
    dual: true,
    repeatable: true,
    params: z.strictObject({ patient: subjectScope }),
    resources: ({ patient }) => [`subject/${patient}`],
    run: ({ patient }, context) => life.order(`subject/${patient}`, whyOf(context)),
  }),
  act({
    name: 'cancel',
    summary: 'Call a destruction off that still waits.',
    role: [...MANAGERS, 'approver'],
    dual: false,
    params: z.strictObject({ target: doomed }),
    resources: targetOf,
    run: (params, context) => life.cancel(params.target, whyOf(context)),
  }),
  act({
    name: 'hold',
    summary: 'Place a legal hold: what stands under it is not destroyed.',
    role: 'key-destroyer',
    dual: false,
    params: target,
    resources: targetOf,
    run: (params, context) => life.holds.hold(params.target, whyOf(context)),
  }),
  act({
    name: 'release',
    summary: 'Release a legal hold.',
    role: 'key-destroyer',
    dual: true,
    params: z.strictObject({ hold: z.uuid().meta({ description: 'Id of the hold.' }) }),
    resources: () => [],
    run: ({ hold }, context) => life.holds.release(hold, whyOf(context)),
  }),
  act<Target & { readonly days: number }>({
    name: 'accept-risk',
    summary: 'Let suspended or compromised keys open what they protected, for some days.',
    role: MANAGERS,
    dual: true,
    repeatable: true,
    params: z.strictObject({
      target: anyKey,
      days: z.int().min(1).max(ACCEPTANCE_MAX_DAYS).meta({ description: 'Days until it expires.' }),
    }),
    resources: targetOf,
    run: (params, context) => life.acceptRisk(params.target, params.days, whyOf(context)),
  }),
];

const nothing = z.strictObject({});

export const lifeQuestions = (life: KeyLife): Question[] => [
  question({
    name: 'list',
    summary: 'KEKs one by one; data keys counted, or those of one kind page by page.',
    roles: OPERATOR_ROLES,
    params: z.strictObject({
      kind: z
        .string()
        .regex(/^[a-z]{1,32}$/)
        .exactOptional(),
      scope: z.string().max(64).exactOptional(),
      state: z.enum(KEY_STATES).exactOptional(),
      after: z
        .string()
        .regex(/^[0-9a-f]{32}$/)
        .exactOptional(),
      limit: z.int().min(1).max(1000).exactOptional(),
    }),
    resources: () => [],
    answer: (filter) => life.list(filter),
  }),
  question({
    name: 'show',
    summary: 'Versions of a key with their states, times, uses and history; holds, accepted risks and destructions.',
    roles: OPERATOR_ROLES,
    params: target,
    resources: targetOf,
    answer: (params) => life.show(params.target),
  }),
  question({
    name: 'destructions',
    summary: 'Destructions that wait, were cancelled, or are done.',
    roles: OPERATOR_ROLES,
    params: nothing,
    resources: () => [],
    answer: () => life.destructions(),
  }),
  question({
    name: 'holds',
    summary: 'Legal holds that are in force.',
    roles: OPERATOR_ROLES,
    params: nothing,
    resources: () => [],
    answer: () => life.holds.list(),
  }),
  question({
    name: 'certificate',
    summary: 'The signed certificate of a destruction.',
    roles: OPERATOR_ROLES,
    params: z.strictObject({ id: z.uuid().meta({ description: 'Id of the destruction.' }) }),
    resources: () => [],
    answer: ({ id }) => life.certificate(id),
  }),
  question({
    name: 'signing-keys',
    summary: 'Public keys that certificates are verified with.',
    roles: OPERATOR_ROLES,
    params: nothing,
    resources: () => [],
    answer: () => life.signing.published(),
  }),
];

const whyOf = ({ by, reason, correlationId, approvals }: ActContext) => ({
  by,
  reason,
  correlationId,
  ...(approvals === undefined ? {} : { approvals }),
});
