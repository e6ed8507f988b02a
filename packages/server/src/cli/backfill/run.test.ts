/** The course of a backfill over scripted answers of a gateway: passes, lost pages, waiting, rate and interruption. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { type DataPaths, dataPaths } from '../../core/index.ts';
import type { HttpAnswer } from '../http.ts';
import { openJournal } from './journal.ts';
import { type BackfillInputs, runBackfill } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'keyward-backfill-'));
after(() => rmSync(folder, { recursive: true }));
const paths: Record<string, DataPaths> = {};

interface Page {
  readonly found: number;
  readonly done: number;
  readonly before?: number;
  readonly skipped?: string;
  readonly next?: string;
}

const SUBJECT = { upstream: 'u', catalogue: 'c' };
const journalOf = (name: string, more: object = {}) =>
  openJournal((paths[name] ??= dataPaths(join(folder, name))), {
    mode: 'seal',
    dryRun: false,
    subject: SUBJECT,
    startOver: false,
    ...more,
  });

const answered = ({ found, done, before = 0, skipped, next }: Page): HttpAnswer => ({
  status: 200,
  location: undefined,
  body: {
    resourceType: 'Parameters',
    parameter: [
      { name: 'found', valueInteger: found },
      { name: 'done', valueInteger: done },
      { name: 'before', valueInteger: before },
      { name: 'clear', valueInteger: 0 },
      ...(skipped === undefined
        ? []
        : [
            {
              name: 'skipped',
              part: [
                { name: 'record', valueReference: { reference: 'Patient/1' } },
                { name: 'code', valueCode: skipped },
              ],
            },
          ]),
      ...(next === undefined ? [] : [{ name: 'page', valueString: next }]),
    ],
  },
});

const refused = (status: number, code: string): HttpAnswer => ({
  status,
  location: undefined,
  body: { resourceType: 'OperationOutcome', issue: [{ details: { coding: [{ code }] } }] },
});

function run(name: string, script: HttpAnswer[], more: Partial<BackfillInputs> = {}) {
  const asked: string[] = [];
  const slept: number[] = [];
  let nowMs = 0;
  const inputs: BackfillInputs = {
    mode: 'seal',
    dryRun: false,
    types: ['Patient'],
    pageSize: 10,
    ratePerSecond: undefined,
    journal: journalOf(name),
    post: (order: Json) => {
      const { parameter } = order as { parameter: { name: string; valueString?: string }[] };
      asked.push(parameter.find((one) => one.name === 'page')?.valueString ?? 'first');
      return Promise.resolve(script.shift() ?? refused(500, 'CORE_INTERNAL'));
    },
    progress: { page: () => undefined, typeDone: () => undefined, waiting: () => undefined, end: () => undefined },
    isInterrupted: () => false,
    sleep: (ms) => {
      slept.push(ms);
      nowMs += ms;
      return Promise.resolve();
    },
    nowMs: () => nowMs,
    ...more,
  };
  return { asked, slept, summary: runBackfill(inputs) };
}

test('[E9] pages are followed to the end, and every record is told once', async () => {
  const { asked, summary } = run('pages', [
    answered({ found: 10, done: 9, before: 1, next: 'p2' }),
    answered({ found: 4, done: 4 }),
  ]);
  const { complete, types } = await summary;
  assert.deepEqual([complete, asked], [true, ['first', 'p2']]);
  assert.deepEqual([types['Patient']?.found, types['Patient']?.done, types['Patient']?.before], [14, 13, 1]);
});

test('[E9] an interrupted run goes on with the page it had come to', async () => {
  let pages = 0;
  const first = run('resume', [answered({ found: 10, done: 10, next: 'p2' })], { isInterrupted: () => pages++ > 1 });
  assert.equal((await first.summary).complete, false);
  const second = run('resume', [answered({ found: 3, done: 3 })]);
  const { types } = await second.summary;
  assert.deepEqual([second.asked, types['Patient']?.found], [['p2'], 13]);
});

test('[E9] records that somebody was writing get another pass, and count once', async () => {
  const { asked, summary } = run('passes', [
    answered({ found: 2, done: 1, skipped: 'FHIR_PRECONDITION' }),
    answered({ found: 2, done: 1, before: 1 }),
  ]);
  const { types } = await summary;
  assert.equal(asked.length, 2);
  assert.deepEqual([types['Patient']?.found, types['Patient']?.done, types['Patient']?.before], [2, 2, 0]);
  assert.deepEqual(types['Patient']?.skipped, {});
});

test('[E9] after three passes what is still being written is told as skipped', async () => {
  const { asked, summary } = run(
    'stubborn',
    Array.from({ length: 4 }, () => answered({ found: 1, done: 0, skipped: 'FHIR_CONFLICT' })),
  );
  assert.deepEqual((await summary).types['Patient']?.skipped, { FHIR_CONFLICT: 1 });
  assert.equal(asked.length, 3);
});

test('[E9] a page link that is good no longer begins the type anew', async () => {
  const { asked, summary } = run('lost', [
    answered({ found: 10, done: 10, next: 'old' }),
    refused(400, 'FHIR_CURSOR_INVALID'),
    answered({ found: 12, done: 2, before: 10 }),
  ]);
  assert.equal((await summary).types['Patient']?.found, 12);
  assert.deepEqual(asked, ['first', 'old', 'first']);
});

test('[E9] what does not answer is waited for, and what is refused ends the run', async () => {
  const waited = run('waits', [refused(503, 'GATEWAY_UPSTREAM_UNAVAILABLE'), answered({ found: 1, done: 1 })]);
  assert.equal((await waited.summary).complete, true);
  assert.equal(waited.slept.length, 1);
  await assert.rejects(run('refused', [refused(403, 'ACCESS_DENIED')]).summary, { code: 'ACCESS_DENIED' });
  const forever = run(
    'forever',
    Array.from({ length: 100 }, () => refused(503, 'LEDGER_UNAVAILABLE')),
  );
  await assert.rejects(forever.summary, { code: 'LEDGER_UNAVAILABLE' });
});

test('[E9] a rate makes pauses, and an interruption does not wait for their end', async () => {
  const pages = () => [answered({ found: 10, done: 10, next: 'p2' }), answered({ found: 10, done: 10 })];
  const slow = run('rate', pages(), { ratePerSecond: 5 });
  await slow.summary;
  assert.equal(
    slow.slept.reduce((sum, ms) => sum + ms, 0),
    4_000,
  );
  let looks = 0;
  const stopped = run('rate-stop', pages(), { ratePerSecond: 5, isInterrupted: () => looks++ > 3 });
  assert.equal((await stopped.summary).complete, false);
  assert.ok(stopped.slept.length < 3);
});

test('[E9] a walk that was ended between its last page and the next type is not walked twice', async () => {
  await run('ended', [answered({ found: 10, done: 10 })]).summary;
  const journal = journalOf('ended-twice');
  journal.put('Patient', { ...journal.get('Patient'), found: 10, done: 10, finished: true });
  const { asked, summary } = run('ended-twice', []);
  assert.equal((await summary).types['Patient']?.found, 10);
  assert.deepEqual(asked, []);
});

test('[E9] a journal is forgotten when another mode has run, or the upstream or the rules are others', () => {
  const write = () => journalOf('modes').put('Patient', { ...journalOf('modes').get('Patient'), page: 'p2', found: 1 });
  for (const other of [
    { mode: 'unseal' },
    { subject: { ...SUBJECT, upstream: 'v' } },
    { subject: { ...SUBJECT, catalogue: 'd' } },
  ]) {
    write();
    assert.equal(journalOf('modes').get('Patient').page, 'p2');
    const { mode = 'seal' } = other as { mode?: string };
    assert.equal(journalOf('modes', other).get('Patient').page, '', JSON.stringify(other));
    if (mode !== 'seal') assert.equal(journalOf('modes').get('Patient').page, '', 'the other run removed it');
  }
});
