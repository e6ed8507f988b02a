/** The backup format: a known answer, read by this test's own few lines, and what must fail. */
import assert from 'node:assert/strict';
import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createDataKey } from '@keyward/sdk/seal';
import type { BackupHeader } from './format.ts';
import { openBackup, type OpenedPart, readParts } from './reader.ts';
import { eraseRecords } from './records.ts';
import { createBackupWriter } from './writer.ts';

const INVALID = { name: 'KeywardError', code: 'KEYS_BACKUP_INVALID' };
const SECRET = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const keyOf = (bytes = SECRET) => createDataKey(Buffer.from(bytes));
const ID = 'ab'.repeat(16);

const header = (key = keyOf()): BackupHeader => ({
  version: 1,
  backup: '5a477c55-6f1b-4400-b303-a6254fe1104f',
  installation: '0b5c2a9e-3a55-4f0e-9d53-0c9a4c7b7a11',
  tenant: 'default',
  generation: '12',
  schema: 3,
  at: '2026-01-02T03:04:05.678Z',
  shares: 5,
  threshold: 3,
  key: key.id,
});

async function write(): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  const writer = createBackupWriter(header(), keyOf(), async (bytes) => void chunks.push(Buffer.from(bytes)));
  await writer.rows('key_policy', ['{"name":"a"}']);
  await writer.keys('data_key', ['{"kind":"subject"}'], [{ id: ID, wrapped: Buffer.from('wrapped') }]);
  await writer.end();
  return chunks;
}

async function readAll(context: TestContext, bytes: Buffer, key = keyOf()): Promise<OpenedPart[]> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-format-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'backup.kwb');
  writeFileSync(path, bytes);
  await using file = await openBackup(path);
  const parts: OpenedPart[] = [];
  for await (const part of readParts(file, key)) parts.push(part);
  return parts;
}

test('[E6] the layout is what format.ts says, read without any of its code', async () => {
  const bytes = Buffer.concat(await write());
  assert.equal(bytes.toString('hex', 0, 8), '896b7762310d0a0a');
  const headEnd = 12 + bytes.readUInt32BE(8);
  const head = bytes.subarray(0, headEnd);
  const { key } = JSON.parse(head.toString('utf8', 12)) as BackupHeader;
  assert.equal(key, createHmac('sha256', SECRET).update('keyward/1 key id').digest('hex').slice(0, 32));
  const sections: { type: number; payload: Buffer }[] = [];
  for (let at = headEnd; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    sections.push({ type: bytes[at]!, payload: bytes.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  assert.deepEqual(
    sections.map(({ type }) => type),
    [1, 2, 1, 1],
  );
  const digest = createHash('sha256').update(head).digest();
  const open = ({ payload }: { payload: Buffer }, what: string) => {
    assert.equal(payload.toString('hex', 0, 17), `01${key}`);
    const decipher = createDecipheriv('aes-256-gcm', SECRET, payload.subarray(17, 29));
    decipher.setAAD(Buffer.concat([Buffer.from('keyward/backup-section/1\0'), digest, Buffer.from(what)]));
    decipher.setAuthTag(payload.subarray(-16));
    return JSON.parse(decipher.update(payload.subarray(29, -16), undefined, 'utf8') + decipher.final('utf8'));
  };
  const wrapped = Buffer.from('wrapped');
  const record = createHash('sha256').update(Buffer.from(ID, 'hex')).update(wrapped).digest('hex');
  assert.deepEqual(open(sections[0]!, '0 more'), { table: 'key_policy', rows: ['{"name":"a"}'] });
  assert.equal(sections[1]!.payload.toString('hex'), `${ID}000007${wrapped.toString('hex')}`);
  assert.deepEqual(open(sections[2]!, '1 more'), {
    table: 'data_key',
    rows: ['{"kind":"subject"}'],
    digests: [record],
  });
  assert.deepEqual(open(sections[3]!, '2 last'), { table: 'end', rows: ['{"key_policy":1,"data_key":1}'] });
});

test('[E6] no bit of a backup can change, no byte be missing, without the reader noticing', async (context) => {
  const bytes = Buffer.concat(await write());
  assert.equal((await readAll(context, bytes)).length, 2);
  for (let bit = 0; bit < bytes.length * 8; bit += 3) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    await assert.rejects(readAll(context, flipped), INVALID, `bit ${bit}`);
  }
  for (let length = 0; length < bytes.length; length += 7)
    await assert.rejects(readAll(context, bytes.subarray(0, length)), INVALID, `${length} bytes`);
});

test('[E6] sections that are moved, doubled, left out or of another backup do not open', async (context) => {
  const [head = Buffer.alloc(0), ...chunks] = await write();
  const sections = Array.from({ length: chunks.length / 2 }, (_, index) =>
    Buffer.concat(chunks.slice(index * 2, index * 2 + 2)),
  );
  const [policy, records, keys, end] = sections as [Buffer, Buffer, Buffer, Buffer];
  const whole = { moved: [records, keys, policy, end], doubled: [policy, policy, records, keys, end] };
  const less = {
    'without its rows': [policy, end],
    'without records': [policy, keys, end],
    'without an end': [policy, records, keys],
  };
  for (const [what, kept] of Object.entries({ ...whole, ...less, 'two ends': [...sections, end] }))
    await assert.rejects(readAll(context, Buffer.concat([head, ...kept])), INVALID, what);
  const foreign = Buffer.concat((await write()).slice(0, 1));
  foreign.write('9', foreign.indexOf('5a477c55'));
  await assert.rejects(readAll(context, Buffer.concat([foreign, ...sections])), INVALID, 'another header');
  await assert.rejects(
    readAll(context, Buffer.concat([head, ...sections]), keyOf(Buffer.alloc(32, 7))),
    INVALID,
    'another key',
  );
});

test('[K11] an erased record is zero bytes of the same length, and nothing else may be marked as erased', async (context) => {
  const chunks = await write();
  const records = chunks[4] as Buffer;
  assert.deepEqual(eraseRecords(records, new Set(['cd'.repeat(16)])), []);
  assert.deepEqual(eraseRecords(records, new Set([ID])), [ID]);
  assert.deepEqual(eraseRecords(records, new Set([ID])), [], 'once');
  assert.equal(records.toString('hex'), `${ID}010007${'00'.repeat(7)}`);
  const parts = await readAll(context, Buffer.concat(chunks));
  assert.deepEqual(
    parts[1]?.records.map(({ id, erased }) => [id, erased]),
    [[ID, true]],
  );
  records[records.length - 1] = 1;
  await assert.rejects(readAll(context, Buffer.concat(chunks)), INVALID);
});

test('[K8] rows that are large are told apart into parts that a reader takes, and come back in order', async (context) => {
  const chunks: Buffer[] = [];
  const writer = createBackupWriter(header(), keyOf(), async (bytes) => void chunks.push(Buffer.from(bytes)));
  // JSON in JSON: every quote takes two bytes.
  const rows = Array.from({ length: 12 }, (_, at) => JSON.stringify({ at, certificate: '"'.repeat(300_000) }));
  const records = rows.map((_, at) => ({ id: at.toString(16).padStart(32, '0'), wrapped: Buffer.from([at]) }));
  await writer.rows('destruction', rows);
  await writer.keys('data_key', rows, records);
  await writer.rows('key_policy', []);
  await writer.end();
  const parts = await readAll(context, Buffer.concat(chunks));
  const of = (table: string) => parts.filter((part) => part.table === table);
  assert.ok(of('destruction').length > 1);
  assert.deepEqual(
    of('destruction').flatMap((part) => part.rows),
    rows,
  );
  assert.deepEqual(
    of('data_key').flatMap((part) => part.records.map(({ id }) => id)),
    records.map(({ id }) => id),
  );
});
