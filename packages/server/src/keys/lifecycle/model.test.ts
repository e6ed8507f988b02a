/** Random sequences of operations on keys, each step and its result compared with a model that knows nothing of a database. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { KeySpec } from '@keyward/sdk/client';
import * as fc from 'fast-check';
import { Pool } from 'pg';
import { asKeywardError, newUuid } from '../../core/index.ts';
import { createCustodian, type Custodian } from '../custodian.ts';
import { type KeyState, LIFECYCLE } from '../lifecycle.ts';
import { localRoot } from '../roots/local/local.ts';
import type { Root } from '../roots/root.ts';
import {
  createMemoryLedger,
  CRYPTOPERIOD_DAYS,
  DAY_MS,
  type KeyDatabase,
  OWN_KEYS,
  RATE_LIMIT,
  startKeyDatabase,
  TEST_USE,
  testLog,
} from '../testing.ts';
import { type MovableClock, movableClock, WAITING_MS, WHY } from './testing.ts';
import { type Step, STEPS } from './transition.ts';

/** Sequences in one test, and side by side; ten tests in the long run. */
const SEQUENCES = process.env['KEYWARD_TEST_ALL'] ? 1_000 : 400;
const PARTS = process.env['KEYWARD_TEST_ALL'] ? 10 : 1;
const AT_ONCE = 8;

/** `patient` and `tenant` stand under `kek`. */
type Name = 'kek' | 'patient' | 'tenant';

/** Data keys, that is. */
type Used = Exclude<Name, 'kek'>;

type Operation =
  | { readonly do: 'protect'; readonly of: Used }
  | { readonly do: 'process'; readonly of: Used }
  | { readonly do: 'hold'; readonly of: Name }
  | { readonly do: 'release'; readonly of: Name }
  | { readonly do: 'order'; readonly of: Name }
  | { readonly do: 'cancel'; readonly of: Name }
  | { readonly do: 'step'; readonly step: Step; readonly of: Name }
  | { readonly do: 'accept'; readonly of: Name; readonly days: number }
  | { readonly do: 'pass'; readonly days: number };

interface ModelKey {
  state: KeyState;
  /** When it came into its state by a transition. */
  since: number | undefined;
  /** Waits until then; `resumes`: is active again when that is cancelled. */
  waiting: { readonly due: number; readonly resumes: boolean } | undefined;
  holds: number;
  readonly acceptances: { readonly at: number; readonly until: number }[];
  readonly history: string[];
}

const newKey = (): ModelKey => ({
  state: 'active',
  since: undefined,
  waiting: undefined,
  holds: 0,
  acceptances: [],
  history: [],
});

interface ModelKeys {
  kek: ModelKey;
  patient?: ModelKey;
  tenant?: ModelKey;
}

interface Model {
  readonly keys: ModelKeys;
  /** What the operation must come to: `ok`, or the code of the error. */
  expect(operation: Operation, now: number): string;
}

/** What has no key yet has no order and no hold either. */
const OF_NOTHING: Partial<Record<Operation['do'], string>> = {
  cancel: 'KEYS_REQUEST_ENDED',
  release: 'KEYS_UNKNOWN_RECORD',
};

function createModel(): Model {
  const keys: ModelKeys = { kek: newKey() };
  /** Keys of the custodian itself under the KEK: it signs with them, and the ledger will write with them. */
  const own = { signature: false, ledger: false };

  const change = (key: ModelKey, to: KeyState, now: number) => {
    if (!(LIFECYCLE[key.state].next as readonly string[]).includes(to))
      throw new Error(`${key.state} never becomes ${to}`);
    key.history.push(`${key.state} ${to}`);
    key.state = to;
    key.since = now;
  };
  const isHeld = (name: Name) => keys[name]!.holds > 0;
  const isAccepted = (key: ModelKey, now: number) =>
    key.acceptances.some(({ at, until }) => until > now && key.since !== undefined && at >= key.since);
  const processes = (key: ModelKey, now: number) => {
    const permission = LIFECYCLE[key.state].process;
    return permission === 'yes' || (permission === 'policy' && isAccepted(key, now));
  };
  const isUsed = () =>
    own.signature ||
    own.ledger ||
    (['patient', 'tenant'] as const).some((name) => keys[name] && keys[name].state !== 'destroyed');
  /** Makes the key for that where it may. */
  const signs = () => {
    if (keys.kek.state === 'active') own.signature = true;
    return own.signature && LIFECYCLE[keys.kek.state].process === 'yes' && !keys.kek.waiting;
  };
  const destroyDue = (now: number) => {
    for (const name of ['kek', 'patient', 'tenant'] as const) {
      const key = keys[name];
      if (!key?.waiting || key.waiting.due > now) continue;
      if (!signs() || isHeld(name) || (name === 'kek' && isUsed())) continue;
      key.waiting = undefined;
      change(key, 'destroyed', now);
    }
  };

  const rules: { [Do in Operation['do']]: (operation: Extract<Operation, { do: Do }>, now: number) => string } = {
    protect({ of }) {
      const key: ModelKey | undefined = keys[of];
      if (!key) {
        if (keys.kek.state !== 'active') return 'KEYS_STATE_REFUSED';
        keys[of] = newKey();
        return 'ok';
      }
      const may =
        key.state === 'active' && !key.waiting && !keys.kek.waiting && LIFECYCLE[keys.kek.state].process === 'yes';
      return may ? 'ok' : 'KEYS_STATE_REFUSED';
    },
    process({ of }, now) {
      const key = keys[of]!;
      const may = !key.waiting && !keys.kek.waiting && processes(key, now) && processes(keys.kek, now);
      return may ? 'ok' : 'KEYS_STATE_REFUSED';
    },
    step({ step, of }, now) {
      const key = keys[of]!;
      const { to, of: from } = STEPS[step];
      if (step === 'compromise' && key.state === 'destroyed') return 'ok';
      if (of === 'kek' && key.state === 'active' && to !== 'active') own.ledger = true;
      const may = (from as readonly string[]).includes(key.state) && (!key.waiting || step === 'compromise');
      if (!may) return 'KEYS_TRANSITION_REFUSED';
      change(key, to, now);
      return 'ok';
    },
    hold({ of }) {
      if (of === 'kek') return 'KEYS_HOLD_LAPSES';
      const key = keys[of]!;
      if (key.state === 'destroyed') return 'KEYS_TRANSITION_REFUSED';
      key.holds += 1;
      return 'ok';
    },
    release({ of }) {
      const key = keys[of]!;
      if (key.holds === 0) return 'KEYS_UNKNOWN_RECORD';
      key.holds -= 1;
      return 'ok';
    },
    accept({ of, days }, now) {
      const key = keys[of]!;
      if (LIFECYCLE[key.state].process !== 'policy') return 'KEYS_TRANSITION_REFUSED';
      key.acceptances.push({ at: now, until: now + days * DAY_MS });
      return 'ok';
    },
    order({ of }, now) {
      const key = keys[of]!;
      if (key.state === 'destroyed') return 'KEYS_TRANSITION_REFUSED';
      if (isHeld(of)) return 'KEYS_HELD';
      if (of === 'kek' && isUsed()) return 'KEYS_IN_USE';
      if (key.waiting) return 'KEYS_TRANSITION_REFUSED';
      if (!signs()) return 'KEYS_STATE_REFUSED';
      // Now it has a key under it.
      if (of === 'kek') return 'KEYS_IN_USE';
      key.waiting = { due: now + WAITING_MS, resumes: key.state === 'active' };
      if (key.state === 'active') change(key, 'suspended', now);
      return 'ok';
    },
    cancel({ of }, now) {
      const key = keys[of]!;
      if (!key.waiting) return 'KEYS_REQUEST_ENDED';
      if (key.waiting.resumes && key.state === 'suspended') change(key, 'active', now);
      key.waiting = undefined;
      return 'ok';
    },
    pass(_, now) {
      destroyDue(now);
      return 'ok';
    },
  };
  return {
    keys,
    expect(operation, now) {
      const missing = operation.do !== 'pass' && operation.do !== 'protect' && !keys[operation.of];
      if (missing) return OF_NOTHING[operation.do] ?? 'KEYS_UNKNOWN_KEY';
      return (rules[operation.do] as (operation: Operation, now: number) => string)(operation, now);
    },
  };
}

/** The custodian under test with a tenant of its own. */
interface Subject {
  readonly custodian: Custodian;
  readonly clock: MovableClock;
  readonly tenant: string;
  readonly specs: Readonly<Record<Used, KeySpec>>;
  readonly refs: Readonly<Record<Name, string>>;
  readonly ids: Map<Name, string>;
  readonly holds: Record<Name, string[]>;
}

let database: KeyDatabase;
/** Without waiting for the disk at every commit: what is tested here is logic, and crashes elsewhere. */
let pool: Pool;
let root: Root;
const directory = mkdtempSync(join(tmpdir(), 'keyward-model-'));

before(async () => {
  database = await startKeyDatabase();
  pool = new Pool({ ...database.connection, max: 2 * AT_ONCE, options: '-c synchronous_commit=off' });
  // The server may end a connection before its end has arrived here.
  pool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
  root = await localRoot.open({ file: join(directory, 'root.key') });
});
after(async () => {
  await pool.end();
  await database.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function newSubject(): Promise<Subject> {
  const tenant = `t-${newUuid()}`;
  const patient = newUuid();
  const clock = movableClock();
  const audit = createMemoryLedger();
  const options = {
    pool,
    root,
    audit,
    tenant,
    clock,
    rateLimit: RATE_LIMIT,
    ownKeys: OWN_KEYS,
    waitingMs: WAITING_MS,
    log: testLog(),
  };
  const rest = { cryptoperiodDays: CRYPTOPERIOD_DAYS, backupDirectory: directory };
  return {
    custodian: await createCustodian({ ...options, ...rest }),
    clock,
    tenant,
    specs: { patient: { kind: 'subject', subject: patient }, tenant: { kind: 'tenant' } },
    refs: { kek: 'kek/1', patient: `subject/${patient}`, tenant: 'tenant' },
    ids: new Map(),
    holds: { kek: [], patient: [], tenant: [] },
  };
}

async function perform(subject: Subject, operation: Operation): Promise<void> {
  const { custodian, clock, specs, refs, ids, holds, tenant } = subject;
  const { life } = custodian;
  if (operation.do === 'pass') return void (await life.destroyDue(clock.now()));
  const { of } = operation;
  const subjects = of === 'patient' ? [refs.patient.slice('subject/'.length)] : [];
  const use = { ...TEST_USE, tenant, subjects };
  // One version of the tenant's key can be destroyed by its id alone.
  const target = of === 'tenant' ? `key/${ids.get('tenant') ?? '0'.repeat(32)}` : refs[of];
  switch (operation.do) {
    case 'protect':
      return void ids.set(of, (await custodian.protect('gateway', [specs[operation.of]], use))[0]!.id);
    case 'process':
      return void (await custodian.process('gateway', [ids.get(of)!], use));
    case 'step':
      return void (await life.step(operation.step, refs[of], WHY));
    case 'hold':
      return void holds[of].push((await life.holds.hold(refs[of], WHY)).hold);
    case 'release':
      return void (await life.holds.release(holds[of].pop() ?? newUuid(), WHY));
    case 'accept':
      return void (await life.acceptRisk(refs[of], operation.days, WHY));
    case 'order':
      return void (await life.order(target, { ...WHY, correlationId: newUuid() }));
    case 'cancel':
      return void (await life.cancel(target, WHY));
  }
}

const outcomeOf = async (work: Promise<void>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => asKeywardError(error).code,
  );

async function compare(operations: readonly Operation[]): Promise<void> {
  const subject = await newSubject();
  const model = createModel();
  for (const operation of operations) {
    // Every step at a moment of its own.
    subject.clock.pass(operation.do === 'pass' ? operation.days * DAY_MS : 1);
    const expected = model.expect(operation, subject.clock.now().getTime());
    // What does not exist has no id that could be asked for.
    if (expected === 'KEYS_UNKNOWN_KEY' && operation.do === 'process') continue;
    assert.equal(await outcomeOf(perform(subject, operation)), expected, JSON.stringify(operation));
  }
  for (const [name, key] of Object.entries(model.keys)) {
    const { versions, transitions } = await subject.custodian.life.show(subject.refs[name as Name]);
    assert.deepEqual(
      versions.map(({ state }) => state),
      [key.state],
    );
    assert.deepEqual(
      transitions.map(({ from, to }) => `${from} ${to}`),
      key.history,
    );
    const erased = name === 'kek' ? 'SELECT wrapped IS NULL AS erased FROM kek WHERE tenant = $1' : ERASED;
    const { rows } = await pool.query(
      erased,
      name === 'kek' ? [subject.tenant] : [subject.tenant, subject.specs[name as 'patient'].kind],
    );
    assert.deepEqual(rows, [{ erased: key.state === 'destroyed' }]);
  }
}

const ERASED = 'SELECT wrapped IS NULL AS erased FROM data_key WHERE tenant = $1 AND kind = $2';

const anyName = fc.constantFrom<Name>('kek', 'patient', 'patient', 'patient', 'tenant', 'tenant');
const aKey = fc.constantFrom<Used>('patient', 'patient', 'tenant');
const anyStep = fc.constantFrom(...(Object.keys(STEPS) as Step[]));

const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('protect', 'process'), of: aKey }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('step'), step: anyStep, of: anyName }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom('order', 'order', 'cancel', 'hold', 'release'), of: anyName }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('accept'), of: anyName, days: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass'), days: fc.constantFrom(1, 7, 7, 20) }) },
);

/** Most of what can happen to a key needs one. */
const beginning = fc.constantFrom<readonly Operation[]>(
  [],
  [{ do: 'protect', of: 'patient' }],
  [
    { do: 'protect', of: 'tenant' },
    { do: 'protect', of: 'patient' },
  ],
);

for (let part = 1; part <= PARTS; part++)
  test(`[K1] ${SEQUENCES} random sequences of operations end as the model says, step by step (${part} of ${PARTS})`, async () => {
    const some = fc.array(anyOperation, { minLength: 6, maxLength: 12 });
    const sequences = fc.tuple(beginning, some).map(([first, then]) => [...first, ...then]);
    const share = { numRuns: SEQUENCES / AT_ONCE };
    const runs = Array.from({ length: AT_ONCE }, () => fc.assert(fc.asyncProperty(sequences, compare), share));
    await Promise.all(runs);
  });
