/** Settings that operators change under dual control; until then the configuration decides. */
import type { Pool } from 'pg';
import { z } from 'zod';
import type { Clock } from '../../core/index.ts';
import { nameOfPerson, type Person } from '../operators.ts';
import { query } from '../query.ts';
import type { Act, Question } from './act.ts';

export interface Setting {
  readonly name: string;
  readonly summary: string;
  readonly value: z.ZodType<number>;
  /** What the configuration says. */
  readonly configured: number;
  /** What counts, of the configuration's value and the one that was set: so that a planted row can only tighten. */
  readonly stricter: (one: number, other: number) => number;
}

export interface Settings {
  read(setting: Setting): Promise<number>;
  readonly acts: readonly Act[];
  readonly questions: readonly Question[];
}

const UPSERT = `
  INSERT INTO key_policy (tenant, name, value, set_by, set_at) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (tenant, name) DO UPDATE SET value = $3, set_by = $4, set_at = $5`;
const SELECT = 'SELECT name, value, set_by, set_at FROM key_policy WHERE tenant = $1';

interface Row {
  readonly name: string;
  readonly value: unknown;
  readonly set_by: string;
  readonly set_at: Date;
}

export interface SettingsOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly settings: readonly Setting[];
}

export function createSettings({ pool, tenant, clock, settings }: SettingsOptions): Settings {
  const rows = () => query<Row>(pool, SELECT, [tenant]);
  const set = async (name: string, value: number, by: Person) =>
    void (await query(pool, UPSERT, [tenant, name, JSON.stringify(value), nameOfPerson(by), clock.now()]));
  return {
    read: async (setting) => effective(setting, await rows()),
    acts: [policyAct(settings, set)],
    questions: [policyQuestion(settings, rows)],
  };
}

/** A value that does not fit its setting was not set by an act: the configuration's counts. */
function effective(setting: Setting, rows: readonly Row[]): number {
  const { data } = setting.value.safeParse(rows.find(({ name }) => name === setting.name)?.value);
  return data === undefined ? setting.configured : setting.stricter(setting.configured, data);
}

const policyParams = z.strictObject({ name: z.string().min(1).max(64), value: z.number() });

function policyAct(
  settings: readonly Setting[],
  set: (name: string, value: number, by: Person) => Promise<void>,
): Act<z.infer<typeof policyParams>> {
  return {
    name: 'set-policy',
    summary: 'Change a setting of key management; it can only become stricter than the configuration.',
    role: ['key-creator', 'key-rotator'],
    dual: true,
    repeatable: true,
    params: policyParams.refine(
      ({ name, value }) => settings.find((setting) => setting.name === name)?.value.safeParse(value).success,
      'no such setting, or no such value of it',
    ),
    resources: ({ name }) => [`KeyPolicy/${name}`],
    async run({ name, value }, { by }) {
      await set(name, value, by);
      return { name, value };
    },
  };
}

const nothing = z.strictObject({});

function policyQuestion(settings: readonly Setting[], rows: () => Promise<Row[]>): Question<z.infer<typeof nothing>> {
  return {
    name: 'policy',
    summary: 'Tell the settings of key management: as configured, as set, and what counts.',
    roles: ['key-creator', 'key-rotator', 'key-destroyer', 'approver', 'auditor'],
    params: nothing,
    resources: () => [],
    async answer() {
      const stored = await rows();
      return { settings: settings.map((setting) => describe(setting, stored)) };
    },
  };
}

function describe(setting: Setting, rows: readonly Row[]) {
  const row = rows.find(({ name }) => name === setting.name);
  const { name, summary, configured } = setting;
  const set = row === undefined ? {} : { set: row.value, setBy: row.set_by, setAt: row.set_at };
  return { name, summary, configured, ...set, value: effective(setting, rows) };
}
