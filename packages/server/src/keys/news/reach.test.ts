/** How soon a change of a key reaches every process: two custodians in processes of their own, on one database, and caches behind each. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCustodianClient, createKeyCache, type KeyCache, type KeyUse } from '@keyward/sdk/client';
import { newUuid } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import { CHILD_CREDENTIALS } from '../http/server.child.ts';
import { announce, EVERY_KEY, type News } from '../news.ts';
import { type KeyDatabase, OWN_KEYS, startKeyDatabase } from '../testing.ts';

let database: KeyDatabase;

/** The promise is a second, and what was measured is told; this much holds on a machine that does other things as well. */
const BUSY_MS = 10_000;
/** When a test gives up. */
const PATIENCE_MS = 60_000;

const CHILD = join(import.meta.dirname, '..', 'http', 'server.child.ts');

/** Ended when the file is done. */
const children: ChildProcess[] = [];
const followed: { close(): void }[] = [];

async function startChild(settings: object): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const died = once(child, 'exit').then(() => Promise.reject(new Error('the custodian did not start')));
  died.catch(() => undefined);
  await Promise.race([once(child.stdout, 'data'), died]);
  return child;
}

interface Holder {
  readonly cache: KeyCache;
  readonly heard: boolean[];
}

/** A process that holds keys, behind one of the custodians. */
function startHolder(socketPath: string): Holder {
  const client = createCustodianClient({ socketPath, credential: CHILD_CREDENTIALS.gateway, timeoutMs: PATIENCE_MS });
  const cache = createKeyCache(client, OWN_KEYS);
  const heard: boolean[] = [];
  followed.push(client.follow(cache, (hearing) => void heard.push(hearing)));
  return { cache, heard };
}

const tenant = `t-${newUuid()}`;
const directory = mkdtempSync(join(tmpdir(), 'keyward-reach-'));
let holders: readonly Holder[];
let first: ChildProcess;
let startNamed: (sockets: string) => Promise<ChildProcess>;
before(async () => {
  database = await startKeyDatabase();
  startNamed = (sockets) => startChild({ connection: database.connection, directory, tenant, sockets });
  first = await startNamed('first');
  await startNamed('second');
  holders = ['first', 'second'].map((name) => startHolder(join(directory, name, 'custodian.sock')));
  await until(() => holders.every(({ heard }) => heard.at(-1) === true));
});

after(async () => {
  for (const following of followed) following.close();
  for (const child of children) child.kill('SIGKILL');
  await database.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A patient of a test, and how a process asks for the key to write with. */
function newPatient() {
  const patient = newUuid();
  const use: KeyUse = { tenant, subjects: [patient], purpose: 'TREAT', correlationId: newUuid() };
  const protect = ({ cache }: Holder) => cache.protect([{ kind: 'subject', subject: patient }], use);
  return { patient, use, protect };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isSo()) && performance.now() < end) await sleep(2);
  assert.ok(await isSo(), 'not within the time');
}

/** As the life cycle does it: the change and its news in one transaction. */
const change = (statement: string, on: string, news: News) =>
  withTransaction(database.pool, async (client) => {
    await client.query(statement, [tenant, on]);
    await announce(client, tenant, new Date(), news);
  });

const setKey = (set: string) => `UPDATE data_key SET ${set} WHERE tenant = $1 AND scope = $2`;

const refused = (asked: Promise<unknown>): Promise<boolean> =>
  asked.then(
    () => false,
    (error: { code?: string }) => error.code === 'KEYS_STATE_REFUSED',
  );

test('[K8] while the custodian is away held keys serve; what changed meanwhile is applied before anything else is heard', async () => {
  const { patient, protect } = newPatient();
  const holder = holders[0]!;
  const [key] = await protect(holder);
  first.kill('SIGKILL');
  await until(() => holder.heard.at(-1) === false);
  await change(setKey("state = 'compromised'"), patient, { ids: [key!.id], specs: [] });
  assert.equal((await protect(holder))[0]!.id, key!.id);
  await startNamed('first');
  await until(() => holder.heard.at(-1) === true);
  assert.ok(await refused(protect(holder)));
});

/** The last one is about the KEK of all. */
const CHANGES: Record<string, { readonly statement: string; readonly everything?: true }> = {
  'a suspended key': { statement: setKey("state = 'suspended'") },
  'a compromised key': { statement: setKey("state = 'compromised'") },
  'a shredded patient': { statement: setKey("state = 'destroyed', wrapped = NULL") },
  'a compromised KEK': {
    statement: "UPDATE kek SET state = 'compromised' WHERE tenant = $1 AND $2 <> ''",
    everything: true,
  },
};

for (const [what, { statement, everything }] of Object.entries(CHANGES)) {
  test(`[K8] ${what} stops protection and opening in every process, by news and not by a lease that ends`, async (context) => {
    const { patient, use, protect } = newPatient();
    const [key] = await protect(holders[0]!);
    for (const holder of holders) {
      assert.equal((await protect(holder))[0]!.id, key!.id);
      await holder.cache.process([key!.id], use);
    }
    const beganMs = performance.now();
    await change(statement, patient, everything ? { ids: [], specs: [EVERY_KEY] } : { ids: [key!.id], specs: [] });
    for (const holder of holders) {
      await until(() => refused(protect(holder)));
      await until(() => refused(holder.cache.process([key!.id], use)));
    }
    const tookMs = performance.now() - beganMs;
    context.diagnostic(`${what}: refused everywhere after ${tookMs.toFixed(0)} ms`);
    assert.ok(tookMs < BUSY_MS, `${tookMs} ms`);
  });
}
