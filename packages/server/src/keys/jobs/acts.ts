/** What operators can order and ask about rotation. */
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import type { Act, Question } from '../control/act.ts';
import { formatKeyRef, parseKeyRef } from '../key-ref.ts';
import type { Why } from '../lifecycle/changes.ts';
import type { Rotated } from './rotate-keys.ts';
import type { StaleReport } from './stale.ts';
import type { JobKind, JobReport } from './table.ts';

/** What the acts and questions need of the jobs. */
export interface JobDesk {
  /** The id of the job. @throws KeywardError `KEYS_JOB_RUNNING` */
  start(kind: JobKind, why: Why): Promise<string>;
  rotateKey(spec: { readonly kind: string; readonly scope: string }, why: Why): Promise<Rotated>;
  /** Version of the active KEK. */
  activeKek(): Promise<number | undefined>;
  hasNextRoot(): boolean;
  list(most: number): Promise<readonly JobReport[]>;
  stale(): Promise<StaleReport>;
}

const nothing = z.strictObject({});

const rotateParams = z.strictObject({
  target: z.string().min(1).max(200).meta({
    description:
      '`kek`, or a data key by what it is for: `subject/UUID`, `tenant`, `store`, `cursor`, `ledger/DAY`; `signature` for certificates.',
  }),
});
type RotateParams = z.infer<typeof rotateParams>;

/** No process may ask for it, so it is no reference that stands anywhere else. */
const SIGNATURE = { kind: 'signature', scope: '' } as const;

const rotateAct = (desk: JobDesk): Act<RotateParams> => ({
  name: 'rotate',
  summary: 'Put a new version in place of the KEK or of a data key; what was sealed stays readable.',
  role: 'key-rotator',
  dual: false,
  params: rotateParams,
  resources: ({ target }) => [target],
  async run({ target }, context) {
    if (target === 'kek') return { job: await desk.start('rotate-kek', context) };
    if (target === SIGNATURE.kind) return { rotated: told(await desk.rotateKey(SIGNATURE, context)) };
    const ref = parseKeyRef(target);
    if ('key' in ref)
      throw new KeywardError('KEYS_REF_INVALID', { detail: 'A rotation names what the key is for, not one version.' });
    if ('kind' in ref) return { rotated: told(await desk.rotateKey(ref, context)) };
    if (ref.kek !== (await desk.activeKek()))
      throw new KeywardError('KEYS_TRANSITION_REFUSED', { detail: 'Only the active KEK is rotated.' });
    return { job: await desk.start('rotate-kek', context) };
  },
});

const told = ({ kind, scope, from, to }: Rotated) => ({
  target: scope === '' ? kind : `${kind}/${scope}`,
  from: from === null ? null : formatKeyRef({ key: from }),
  to: formatKeyRef({ key: to }),
});

const rewrapAct = (desk: JobDesk): Act<z.infer<typeof nothing>> => ({
  name: 'rewrap',
  summary: 'Wrap every data key that is under a KEK of before under the active one.',
  role: 'key-rotator',
  dual: false,
  params: nothing,
  resources: () => ['kek'],
  run: async (_params, context) => ({ job: await desk.start('rewrap', context) }),
});

const moveRootAct = (desk: JobDesk): Act<z.infer<typeof nothing>> => ({
  name: 'move-root',
  summary: 'Wrap every KEK by the root that the configuration names as keys.nextRoot.',
  role: 'key-rotator',
  dual: true,
  params: nothing,
  resources: () => ['root'],
  async run(_params, context) {
    if (!desk.hasNextRoot()) throw new KeywardError('KEYS_ROOT_UNUSABLE', { detail: 'keys.nextRoot names none.' });
    return { job: await desk.start('move-root', context) };
  },
});

export const jobActs = (desk: JobDesk): readonly Act[] => [rotateAct(desk), rewrapAct(desk), moveRootAct(desk)];

const jobsParams = z.strictObject({
  most: z.int().min(1).max(200).default(20).meta({ description: 'How many jobs, from the newest on.' }),
});

const jobsQuestion = (desk: JobDesk): Question<z.infer<typeof jobsParams>> => ({
  name: 'jobs',
  summary: 'Tell how far rotations, rewraps and moves are.',
  roles: ['key-creator', 'key-rotator', 'key-destroyer', 'approver', 'auditor'],
  params: jobsParams,
  resources: () => [],
  answer: async ({ most }) => ({ jobs: await desk.list(most) }),
});

const staleQuestion = (desk: JobDesk): Question<z.infer<typeof nothing>> => ({
  name: 'stale',
  summary: 'Tell what has to be re-encrypted after rotations and compromises.',
  roles: ['key-creator', 'key-rotator', 'key-destroyer', 'approver', 'auditor'],
  params: nothing,
  resources: () => [],
  answer: () => desk.stale(),
});

export const jobQuestions = (desk: JobDesk): readonly Question[] => [jobsQuestion(desk), staleQuestion(desk)];
