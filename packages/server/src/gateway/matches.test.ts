/** Tests of what a request with many conditions costs: how much is fetched, planned and opened for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeywardError } from '../core/index.ts';
import type { FhirResource } from '../phi/index.ts';
import { planCondition } from './conditional.ts';
import { findMatches, type Question, questionOf } from './matches.ts';
import { sealResources } from './sealing.ts';
import { type Bench, createBench } from './testing.ts';
import type { UpstreamAnswer } from './upstream.ts';

/** A day of the one birth year of all patients here. */
const day = (number: number): string => new Date(Date.UTC(1980, 0, 1 + number)).toISOString().slice(0, 10);

/** An upstream that has these patients, knows of each the year only, and counts how often it is asked. */
async function benchWith(patients: number): Promise<Bench & { asked: () => number }> {
  let [asked, entry]: [number, { resource: FhirResource }[]] = [0, []];
  const bench = createBench(async (): Promise<UpstreamAnswer> => {
    asked += 1;
    return {
      status: 200,
      headers: {},
      body: { resourceType: 'Bundle', type: 'searchset', entry: structuredClone(entry) },
    };
  });
  const plain = Array.from({ length: patients }, (_, n) => ({
    resourceType: 'Patient',
    id: `p${n}`,
    birthDate: day(n),
  }));
  const sealed = await sealResources(
    bench.exchange(),
    plain.map((resource) => ({ resource, scope: 'tenant' })),
  );
  entry = sealed.map((resource) => ({ resource }));
  return { ...bench, asked: () => asked };
}

async function questionsAbout(bench: Bench, days: number): Promise<Question[]> {
  const exchange = bench.exchange();
  const questions: Question[] = [];
  for (let number = 0; number < days; number++) {
    const criteria = new URLSearchParams({ birthdate: day(number) });
    questions.push(await questionOf(exchange, planCondition(exchange, 'Patient', criteria, false)));
  }
  return questions;
}

/** The proof of a record and its birth date. */
const TOKENS_PER_PATIENT = 2;

test('[E7] a resource that many conditions of a request could mean is opened once for all of them', async () => {
  const bench = await benchWith(30);
  const questions = await questionsAbout(bench, 35);
  const matches = await findMatches(bench.exchange(), questions.slice(0, 6));
  assert.deepEqual(
    [...matches.values()].map((match) => (match === 'several' ? match : match?.id)),
    ['p0', 'p1', 'p2', 'p3', 'p4', 'p5'],
  );
  const opened = bench.openedAtOnce.reduce((sum, count) => sum + count, 0);
  assert.equal(opened, 30 * TOKENS_PER_PATIENT);
  const nobody = await findMatches(bench.exchange(), questions.slice(30));
  assert.deepEqual([...new Set(nobody.values())], [undefined]);
});

test('[E7] many candidates are opened a few at a time, and each was in the ledger before', async () => {
  const bench = await benchWith(180);
  await findMatches(bench.exchange(), await questionsAbout(bench, 20));
  assert.ok(Math.max(...bench.openedAtOnce) <= 50 * TOKENS_PER_PATIENT, `at once: ${bench.openedAtOnce.join(' ')}`);
  assert.equal(bench.recorded.length, bench.openedAtOnce.length);
  assert.equal(new Set(bench.recorded.flatMap(({ resources }) => resources ?? [])).size, 180);
});

test('[E7] a request whose conditions need too much comparing is refused, and the upstream is spared the rest', async () => {
  const bench = await benchWith(200);
  const questions = await questionsAbout(bench, 300);
  await assert.rejects(
    findMatches(bench.exchange(), questions),
    (error) => error instanceof KeywardError && error.code === 'FHIR_CONDITIONS_TOO_WIDE',
  );
  assert.ok(bench.asked() <= 32, `asked ${bench.asked()} times`);
});

test('[E7] of a condition that more could fulfil than are compared nothing is opened', async () => {
  const bench = await benchWith(201);
  const [question] = await questionsAbout(bench, 1);
  const matches = await findMatches(bench.exchange(), [question as Question]);
  assert.deepEqual([[...matches.values()], Math.max(...bench.openedAtOnce)], [['several'], 0]);
});
