/** Threat: the custodian is killed in the middle of changing keys. Whatever was under way is finished by the next one; no key is lost. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newUuid } from '../../packages/server/src/core/index.ts';
import { type JobsChildSettings, openJobsCustodian } from '../../packages/server/src/keys/jobs/jobs.child.ts';
import { type KeyDatabase, startKeyDatabase, subject, testDirectory } from '../../packages/server/src/keys/testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const KILLS = process.env['KEYWARD_TEST_ALL'] ? 50 : 8;
const KEYS = 200;
/** Where the killings come: a run that failed is repeated with the number it told. */
const SEED = Number(process.env['KEYWARD_TEST_SEED'] ?? randomInt(2 ** 31));
/** A killing comes at random within this time from the start of the jobs. */
const LONGEST_LIFE_MS = 500;

const CHILD = join(import.meta.dirname, '../../packages/server/src/keys/jobs/jobs.child.ts');
const WHY = { by: { issuer: 'https://idp.example', sub: 'operator' }, reason: 'a test', correlationId: newUuid() };

/** The same for the same seed. */
const lifeMs = (nth: number): number =>
  createHash('sha256').update(`${SEED} ${nth}`).digest().readUInt32BE(0) % LONGEST_LIFE_MS;

async function startChild(context: TestContext, settings: JobsChildSettings): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Codes that mean: not now, since another such thing is under way. */
const NOT_NOW = new Set(['KEYS_JOB_RUNNING', 'KEYS_IN_USE', 'KEYS_TRANSITION_REFUSED', 'KEYS_UNKNOWN_KEY']);

async function ifPossible(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!NOT_NOW.has((error as { code: string }).code)) throw error;
  }
}

const rows = async <Row extends object>(text: string, values: unknown[]): Promise<Row[]> =>
  (await database.pool.query<Row>(text, values)).rows;

/** Resolves once nothing is under way any more. */
async function untilIdle(tenant: string): Promise<void> {
  const open = `
    SELECT 1 FROM key_job WHERE tenant = $1 AND state = 'running'
    UNION ALL SELECT 1 FROM destruction WHERE tenant = $1 AND state = 'waiting'`;
  while ((await rows(open, [tenant])).length > 0) await sleep(20);
}

interface Kek {
  readonly version: number;
  readonly state: string;
  readonly root: string;
  readonly wrapped: Buffer | null;
}

interface Transition {
  readonly kek_version: number;
  readonly from_state: string | null;
  readonly to_state: string;
}

async function assertHierarchy(tenant: string): Promise<Kek[]> {
  const keks = await rows<Kek>('SELECT version, state, root, wrapped FROM kek WHERE tenant = $1 ORDER BY version', [
    tenant,
  ]);
  assert.deepEqual(
    keks.map(({ version }) => version),
    keks.map((_, index) => index + 1),
    'no version is skipped',
  );
  assert.deepEqual(
    keks.filter(({ state }) => state === 'active').map(({ version }) => version),
    [keks.length],
    'the newest alone is active',
  );
  for (const { state, wrapped } of keks) assert.equal(wrapped === null, state === 'destroyed');
  const history = await rows<Transition>(
    'SELECT kek_version, from_state, to_state FROM key_transition WHERE tenant = $1 AND kek_version > 1 ORDER BY at, id',
    [tenant],
  );
  for (const { version, state } of keks.slice(1)) {
    const own = history.filter(({ kek_version: of }) => of === version);
    assert.deepEqual(
      own.map(({ from_state: from }) => from),
      [null, ...own.slice(0, -1).map(({ to_state: to }) => to)],
      'every transition starts where the one before ended',
    );
    assert.equal(own.at(-1)?.to_state, state);
  }
  return keks;
}

test(`[K3] the custodian killed ${KILLS} times in rotation, rewrap, move of the root and destruction: consistent, and every key opens`, async (context) => {
  const directory = testDirectory(context);
  const tenant = `t-${newUuid()}`;
  const settings = (turn: number): JobsChildSettings => ({
    connection: database.connection,
    directory,
    tenant,
    roots: turn % 2 === 0 ? ['a/root.key', 'b/root.key'] : ['b/root.key', 'a/root.key'],
  });
  const { custodian, pool } = await openJobsCustodian(settings(0));
  context.after(() => pool.end());
  const specs = Array.from({ length: KEYS }, () => subject());
  const scopes = specs.map((spec) => (spec.kind === 'subject' ? spec.subject : ''));
  const use = { tenant, purpose: 'SYSTEM', correlationId: newUuid(), subjects: scopes };
  const keys = await custodian.protect('gateway', specs, use);
  const shredded = new Set<number>();
  context.diagnostic(`KEYWARD_TEST_SEED=${SEED}`);
  let lives = 0;
  const liveShortly = async (turn: number) => {
    const child = await startChild(context, settings(turn));
    lives += 1;
    await sleep(lifeMs(lives));
    await kill(child);
  };
  const liveToTheEnd = async (turn: number) => {
    const child = await startChild(context, settings(turn));
    await untilIdle(tenant);
    await kill(child);
  };
  const deactivated = () =>
    rows<Kek>("SELECT version FROM kek WHERE tenant = $1 AND state = 'deactivated' ORDER BY version", [tenant]);
  const orderDestruction = async () => {
    for (const { version } of await deactivated()) await ifPossible(() => custodian.life.order(`kek/${version}`, WHY));
  };
  let turn = 0;
  for (let round = 0; round < KILLS; round++) {
    const moving = await rows("SELECT FROM key_job WHERE tenant = $1 AND kind = 'move-root' AND state = 'running'", [
      tenant,
    ]);
    if (moving.length === 0) turn += 1;
    await ifPossible(() => custodian.jobs.desk.start('rotate-kek', WHY));
    await ifPossible(() => custodian.jobs.desk.start('move-root', WHY));
    await ifPossible(() => custodian.jobs.desk.start('rewrap', WHY));
    await orderDestruction();
    await custodian.life.order(`subject/${scopes[round]!}`, WHY);
    shredded.add(round);
    await liveShortly(turn);
  }
  await liveToTheEnd(turn);
  await orderDestruction();
  await liveShortly(turn);
  await liveToTheEnd(turn);
  assert.deepEqual(await deactivated(), []);

  const keks = await assertHierarchy(tenant);
  context.diagnostic(
    `${keks.length} KEKs, of which ${keks.filter(({ state }) => state === 'destroyed').length} destroyed`,
  );
  const failed = await rows("SELECT kind, error_code FROM key_job WHERE tenant = $1 AND state <> 'done'", [tenant]);
  assert.deepEqual(failed, []);
  const names = await rows<{ kek_version: number }>(
    "SELECT DISTINCT kek_version FROM data_key WHERE tenant = $1 AND state <> 'destroyed'",
    [tenant],
  );
  assert.deepEqual(names, [{ kek_version: keks.length }]);
  const { custodian: fresh, pool: freshPool } = await openJobsCustodian(settings(turn));
  context.after(() => freshPool.end());
  const kept = keys.filter((_, index) => !shredded.has(index));
  const again = await fresh.process(
    'gateway',
    kept.map(({ id }) => id),
    use,
  );
  assert.ok(again.every(({ secret }, index) => secret.equals(kept[index]!.secret)));
  for (const index of shredded)
    await assert.rejects(fresh.process('gateway', [keys[index]!.id], use), { code: 'KEYS_STATE_REFUSED' });
});
