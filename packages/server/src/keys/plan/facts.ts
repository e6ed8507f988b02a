/** What a Key Management Plan is made from: answers to questions about a running installation. */
import { z } from 'zod';

/** Times arrive as they were written: RFC 3339. */
const time = z.string();
const nullableTime = time.nullable().default(null);
const count = z.coerce.number();

const root = z.object({
  provider: z.string(),
  key: z.string(),
  hardware: z.boolean(),
  exportable: z.boolean(),
  fipsCertificate: z.string().optional(),
  region: z.string().optional(),
});

const kek = z.object({
  ref: z.string(),
  state: z.string(),
  createdAt: time,
  activatedAt: nullableTime,
  deactivatedAt: nullableTime,
  uses: count,
});

/** Settings that the plan tells of; one that is missing would make it say less than it claims. */
const SETTINGS = [
  'approvals.needed',
  'approvals.ttlHours',
  'cryptoperiodDays.kek',
  'cryptoperiodDays.data',
  'cryptoperiodDays.root',
  'cryptoperiodDays.signing',
] as const;

export type SettingName = (typeof SETTINGS)[number];

const settings = z.record(z.enum(SETTINGS), z.number());

/** From the list that is answered; settings that the plan does not know do not concern it. */
const settingsByName = z.array(z.object({ name: z.string(), value: count })).transform((rows) => {
  const values = new Map(rows.map(({ name, value }) => [name, value]));
  return settings.parse(Object.fromEntries(SETTINGS.map((name) => [name, values.get(name)])));
});

/** By question; members that the plan does not tell of are left out here, and so never get into it. */
const answers = z.object({
  'plan-facts': z.object({
    tenant: z.string(),
    at: time,
    root,
    nextRoot: root.nullable(),
    waitingMs: count,
    mostUses: count,
    rotateAtUses: count,
    exhaustedAtUses: count,
  }),
  list: z.object({
    keks: z.array(kek),
    counts: z.array(z.object({ kind: z.string(), state: z.string(), keys: count })),
  }),
  roles: z.object({
    roles: z.array(
      z.object({ issuer: z.string(), sub: z.string(), role: z.string(), counts: z.boolean(), enrolled: z.boolean() }),
    ),
  }),
  policy: z.object({ settings: settingsByName }),
  backups: z.object({ backups: z.array(z.object({ at: time, threshold: count, shares: count })) }),
  drills: z.object({ drills: z.array(z.object({ at: time, opened: z.boolean(), errorCode: z.string().nullish() })) }),
  destructions: z.array(z.object({ state: z.string() })),
  holds: z.array(z.object({})),
});

export type PlanFacts = z.infer<typeof answers>;

/** What has to be asked, without parameters. */
export const PLAN_QUESTIONS = Object.keys(answers.shape) as (keyof PlanFacts)[];

/** @throws ZodError when a question was answered otherwise than this version answers it */
export const readPlanFacts = (given: Readonly<Record<string, unknown>>): PlanFacts => answers.parse(given);
