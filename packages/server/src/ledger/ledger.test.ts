/** Tests of the ledger on the real server: durable, grouped, append-only, sealed, and failing closed. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKeyCache } from '@keyward/sdk/client';
import type { Pool } from 'pg';
import { createMemoryKeys, type MemoryKeys } from '../../../../test/support/memory-keys.ts';
import { newUuid, systemClock } from '../core/index.ts';
import { startEmbeddedPostgres, superuserConnection } from '../db/index.ts';
import { encodeHeader, leafHash } from './entry.ts';
import { type Ledger, type LedgerInputs, type LedgerReader, readLedger } from './index.ts';
import { createKeyring } from './keyring.ts';
import { isIntact, sealEntry } from './sealed-entry.ts';
import { eventOf, type LedgerDatabase, ledgerOn, SILENT, startLedgerDatabase } from './testing.ts';

let database: LedgerDatabase;
let owner: Pool;
let writer: Pool;
let keys: MemoryKeys;
let ledger: Ledger;
let reader: LedgerReader;

before(async () => {
  database = await startLedgerDatabase();
  ({ owner, writer } = database);
});

after(() => database.stop());

beforeEach(() => {
  keys = createMemoryKeys();
  ledger = open({});
  reader = readLedger({ pool: database.reader, keys, tenant: 'clinic' });
});

const open = (change: Partial<LedgerInputs>): Ledger => ledgerOn(writer, keys, change);

const count = async (): Promise<number> =>
  (await owner.query<{ count: number }>('SELECT count(*)::int AS count FROM ledger_entries')).rows[0]?.count ?? 0;

/** As someone who holds the database but is stopped by no trigger. */
async function tamper(sql: string, values: readonly unknown[]): Promise<void> {
  await owner.query('ALTER TABLE ledger_entries DISABLE TRIGGER append_only');
  try {
    await owner.query(sql, [...values]);
  } finally {
    await owner.query('ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER append_only');
  }
}

test('[L1] what was recorded is read back as it was, in its order', async () => {
  const correlationId = newUuid();
  const events = [
    eventOf({ correlationId, class: 'write.intent' }),
    eventOf({
      correlationId,
      class: 'write.outcome',
      resources: ['Patient/Ωmega'],
      keyIds: ['01'.repeat(16), 'ff'.repeat(16)],
    }),
    eventOf({ correlationId, class: 'denial', decision: 'deny', code: 'ACCESS_DENIED', actor: { sub: '-' } }),
  ];
  await ledger.record(events);
  const entries = await reader.tail({ limit: 10, correlationId });
  assert.deepEqual(
    entries.map(({ event }) => event),
    events,
  );
  assert.ok(entries.every(({ intact }) => intact));
});

test('[L3] nothing that tells who or what is in clear in the table', async () => {
  const event = eventOf();
  await ledger.record([event]);
  const { rows } = await owner.query('SELECT * FROM ledger_entries WHERE id = $1', [event.id]);
  const stored = Object.values(rows[0] as Record<string, unknown>)
    .flat()
    .map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value)));
  const secrets = ['canary', 'TREAT', 'clinician', '192.0.2.1', 'idp.example', ...(event.subjects ?? [])];
  for (const secret of secrets) assert.ok(!stored.some((text) => text.includes(secret)), secret);
});

test('[L1] pseudonyms join entries of one person and keep actors and subjects apart', async () => {
  const same = newUuid();
  const [a, b, c] = [
    eventOf({ subjects: [same] }),
    eventOf({ subjects: [same] }),
    eventOf({ actor: { sub: same, issuer: '' } }),
  ];
  await ledger.record([a, b, c]);
  const { rows } = await owner.query<{ actor: Buffer; subject: Buffer }>(
    'SELECT actor, subjects[1] AS subject FROM ledger_entries WHERE id = ANY($1) ORDER BY position',
    [[a.id, b.id, c.id]],
  );
  assert.deepEqual(rows[0], rows[1]);
  assert.notDeepEqual(rows[2]?.actor, rows[0]?.actor);
  assert.notDeepEqual(rows[2]?.actor, rows[0]?.subject);
});

test('[L1] two hundred concurrent calls share a few commits', async () => {
  await ledger.record([eventOf()]);
  const [entries, commits] = [await count(), await committed()];
  await Promise.all(Array.from({ length: 200 }, () => ledger.record([eventOf()])));
  assert.equal((await count()) - entries, 200);
  const used = (await committed()) - commits;
  assert.ok(used >= 1 && used <= 4, `${used} commits`);
});

/** Commits that wrote rows of the ledger: each has a transaction id of its own. */
const committed = async (): Promise<number> =>
  (await owner.query<{ n: number }>('SELECT count(DISTINCT xmin::text)::int AS n FROM ledger_entries')).rows[0]?.n ?? 0;

test('[L1] the same event twice keeps one entry, the first', async () => {
  const event = eventOf();
  await ledger.record([event]);
  await ledger.record([{ ...event, rule: 'another' }]);
  const entries = await reader.tail({ limit: 10, correlationId: event.correlationId });
  assert.deepEqual(
    entries.map((entry) => entry.event?.rule),
    [event.rule],
  );
});

test('[L1] an event too large for one entry is recorded in several', async () => {
  const resources = Array.from({ length: 10_000 }, (_, n) => `Observation/${n}`);
  const event = eventOf({ resources });
  await ledger.record([event]);
  const entries = await reader.tail({ limit: 10, correlationId: event.correlationId });
  assert.ok(entries.length > 1);
  assert.deepEqual(
    entries.flatMap((entry) => entry.event?.resources ?? []),
    resources,
  );
});

const FORBIDDEN = [
  'UPDATE ledger_entries SET class = class',
  'DELETE FROM ledger_entries',
  'TRUNCATE ledger_entries',
] as const;

for (const statement of FORBIDDEN) {
  test(`[L2] ${statement.split(' ')[0]} is refused to writer, reader and owner alike`, async () => {
    for (const pool of [writer, database.reader, owner]) await assert.rejects(pool.query(statement), { code: '42501' });
    const replica = `SET session_replication_role = replica; ${statement}`;
    await assert.rejects(owner.query(replica), { code: '42501' });
    await owner.query('RESET session_replication_role');
  });
}

test('[L2] the writer cannot read what it wrote, and the reader cannot write', async () => {
  await assert.rejects(writer.query('SELECT body FROM ledger_entries'), { code: '42501' });
  await assert.rejects(database.reader.query('INSERT INTO ledger_entries DEFAULT VALUES'), { code: '42501' });
});

const ALTERATIONS = [
  { what: 'a body', sql: `UPDATE ledger_entries SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE id = $1` },
  { what: 'a time', sql: `UPDATE ledger_entries SET at = at + interval '1 ms' WHERE id = $1` },
  { what: 'an actor', sql: `UPDATE ledger_entries SET actor = decode(repeat('00', 16), 'hex') WHERE id = $1` },
  { what: 'the subjects', sql: `UPDATE ledger_entries SET subjects = '{}' WHERE id = $1` },
  { what: 'a leaf hash', sql: `UPDATE ledger_entries SET leaf_hash = sha256('') WHERE id = $1` },
  { what: 'a body that is no envelope any more', sql: `UPDATE ledger_entries SET body = '' WHERE id = $1` },
  {
    what: 'a subject that is no pseudonym any more',
    sql: `UPDATE ledger_entries SET subjects = ARRAY[''::bytea] WHERE id = $1`,
  },
] as const;

for (const { what, sql } of ALTERATIONS) {
  test(`[L2] ${what} that was altered is seen, and its neighbours stay readable`, async () => {
    const correlationId = newUuid();
    const events = [1, 2, 3].map(() => eventOf({ correlationId }));
    await ledger.record(events);
    await tamper(sql, [events[1]?.id]);
    const entries = await reader.tail({ limit: 10, correlationId });
    assert.deepEqual(
      entries.map(({ intact }) => intact),
      [true, false, true],
    );
    assert.deepEqual(
      entries.map(({ event }) => event?.id),
      [events[0]?.id, undefined, events[2]?.id],
    );
  });
}

test('[L2] a body moved to another entry does not open, even with a leaf hash that fits', async () => {
  const correlationId = newUuid();
  const [victim, donor] = [eventOf({ correlationId }), eventOf({ correlationId })];
  await ledger.record([victim, donor]);
  const body = await bodyOf(donor.id);
  const { header } = sealEntry(victim, await ledgerKeys());
  const forged = { header, body, leafHash: leafHash(encodeHeader(header), body) };
  await tamper('UPDATE ledger_entries SET body = $2, leaf_hash = $3 WHERE id = $1', [victim.id, body, forged.leafHash]);
  assert.ok(isIntact(forged), 'the leaf hash alone does not betray it');
  const entries = await reader.tail({ limit: 10, correlationId });
  assert.deepEqual(
    entries.map(({ intact }) => intact),
    [false, true],
  );
});

async function bodyOf(id: string): Promise<Buffer> {
  const { rows } = await owner.query<{ body: Buffer }>('SELECT body FROM ledger_entries WHERE id = $1', [id]);
  return rows[0]?.body ?? assert.fail('no such entry');
}

const ledgerKeys = () => createKeyring({ keys, tenant: 'clinic', clock: systemClock, deadlineMs: 1000 })(1);

test('[L3] a destroyed day key leaves the entry intact and its body unreadable', async () => {
  const event = eventOf();
  await ledger.record([event]);
  const day = { kind: 'ledger', day: new Date().toISOString().slice(0, 10) } as const;
  const [dayKey] = await keys.protect([day], {
    tenant: 'clinic',
    subjects: [],
    purpose: 'SYSTEM',
    correlationId: newUuid(),
  });
  keys.forget(dayKey?.id ?? assert.fail('no day key'));
  const [entry] = await reader.tail({ limit: 1, correlationId: event.correlationId });
  assert.deepEqual([entry?.intact, entry?.event], [true, undefined]);
});

test('[K10] the ledger keeps no key: each record asks for those of its day, and records at once ask together', async () => {
  let now = new Date('2026-05-06T23:59:59.999Z');
  const daily = open({ clock: { now: () => now } });
  await Promise.all([daily.record([eventOf()]), daily.record([eventOf(), eventOf()])]);
  await daily.record([eventOf()]);
  now = new Date('2026-05-07T00:00:00.000Z');
  await daily.record([eventOf()]);
  const specs = keys.asked.map((request) => request.specs);
  const of = (day: string) => [{ kind: 'pseudonym' }, { kind: 'ledger', day }];
  assert.deepEqual(specs, [of('2026-05-06'), of('2026-05-06'), of('2026-05-07')]);
});

test('[K10] behind a cache whose keys have ended, the ledger asks the custodian again', async () => {
  let nowMs = 0;
  const cache = createKeyCache(keys, { maxAgeMs: 1000, maxHandouts: 100, maxKeys: 10, now: () => nowMs });
  const cached = open({ keys: cache });
  for (const ms of [0, 999, 1000]) {
    nowMs = ms;
    await cached.record([eventOf()]);
  }
  assert.equal(keys.asked.length, 2);
});

test('[L1] without keys nothing is recorded, and the next call asks again', async () => {
  let down = true;
  const protect: MemoryKeys['protect'] = async (specs, use) => {
    if (down) throw new Error('no custodian');
    return keys.protect(specs, use);
  };
  const recovering = open({ keys: { ...keys, protect } });
  await assert.rejects(recovering.record([eventOf()]), { code: 'LEDGER_UNAVAILABLE' });
  down = false;
  await recovering.record([eventOf()]);
});

test('[L1] a custodian that never answers does not hold a caller longer than the deadline, nor those after it', async () => {
  let silent = true;
  const protect: MemoryKeys['protect'] = (specs, use) =>
    silent ? new Promise(() => undefined) : keys.protect(specs, use);
  const recovering = open({ keys: { ...keys, protect }, deadlineMs: 100 });
  await assert.rejects(recovering.record([eventOf()]), { code: 'LEDGER_UNAVAILABLE' });
  silent = false;
  await recovering.record([eventOf()]);
});

test('[L1] an event of another tenant, or with an id that is none, is refused without harm to others', async () => {
  const good = ledger.record([eventOf()]);
  await assert.rejects(ledger.record([eventOf({ tenant: 'other' })]), { code: 'CORE_INTERNAL' });
  await assert.rejects(ledger.record([eventOf({ keyIds: ['xyz'] })]), { code: 'CORE_INTERNAL' });
  await good;
});

test('[L1] a database that hangs fails the request at its deadline, and the next one is served', async () => {
  const impatient = open({ deadlineMs: 300 });
  await impatient.record([eventOf()]);
  const blocker = await owner.connect();
  await blocker.query('BEGIN; LOCK TABLE ledger_entries IN ACCESS EXCLUSIVE MODE');
  try {
    const started = performance.now();
    await assert.rejects(impatient.record([eventOf()]), { code: 'LEDGER_UNAVAILABLE' });
    assert.ok(performance.now() - started < 5_000);
  } finally {
    await blocker.query('COMMIT');
    blocker.release();
  }
  await impatient.record([eventOf()]);
});

test('[L1] closing waits for what was accepted and refuses what comes later', async () => {
  const event = eventOf();
  const accepted = ledger.record([event]);
  await ledger.close();
  await accepted;
  await assert.rejects(ledger.record([eventOf()]), { code: 'LEDGER_UNAVAILABLE' });
  assert.equal((await reader.tail({ limit: 1, correlationId: event.correlationId })).length, 1);
});

test('[L1] after a kill -9 of the database every acknowledged entry is there, and recording goes on by itself', async () => {
  const acknowledged: string[] = [];
  const stopping = new AbortController();
  const work = Array.from({ length: 8 }, async () => {
    while (!stopping.signal.aborted) {
      const event = eventOf();
      await ledger.record([event]).then(
        () => acknowledged.push(event.id),
        () => sleep(20),
      );
    }
  });
  await sleep(300);
  process.kill(database.postgres.pid, 'SIGKILL');
  const atCrash = acknowledged.length;
  const { paths } = database.postgres;
  const superuserPassword = superuserConnection(paths).password;
  const again = await startEmbeddedPostgres({ paths, superuserPassword, log: SILENT, onNotice: () => undefined });
  try {
    while (acknowledged.length < atCrash + 20) await sleep(20);
    stopping.abort();
    await Promise.all(work);
    const { rows } = await owner.query<{ id: string }>('SELECT id FROM ledger_entries WHERE id = ANY($1)', [
      acknowledged,
    ]);
    assert.equal(rows.length, acknowledged.length);
    assert.ok(atCrash > 0);
  } finally {
    stopping.abort();
    await Promise.allSettled(work);
    await Promise.all([owner, writer, database.reader].map((pool) => pool.query('SELECT 1').catch(() => undefined)));
    await again.stop();
  }
});
