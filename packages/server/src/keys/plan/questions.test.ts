/** The plan of a real custodian: what it asks for is what the custodian answers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { callBy, ISSUER } from '../control/testing.ts';
import { type KeyDatabase, startCustodian, startKeyDatabase, subject, TEST_USE } from '../testing.ts';
import { PLAN_QUESTIONS, readPlanFacts } from './facts.ts';
import { toMarkdown } from './markdown.ts';
import { keyManagementPlan } from './plan.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

test('[K12] every question of the plan is answered by a running custodian, as it is read, and recorded', async (context) => {
  const { custodian, ledger, tenant } = await startCustodian(context, database.pool);
  const management = custodian.manage({
    verifyToken: async (sub = '') => ({ issuer: ISSUER, sub, role: 'auditor', mfa: true }),
    approvals: { needed: 2, ttlHours: 24 },
    issuers: [ISSUER],
    firstOperators: [{ issuer: ISSUER, sub: 'auditor', roles: ['auditor'] }],
  });
  await management.start();
  await custodian.protect('gateway', [subject()], TEST_USE);
  const answers: Record<string, unknown> = {};
  for (const question of PLAN_QUESTIONS)
    answers[question] = JSON.parse(JSON.stringify(await management.ask(question, callBy('auditor', { params: {} }))));
  const written = toMarkdown(keyManagementPlan(readPlanFacts(answers)));
  const expected = [
    `Key Management Plan: ${tenant}`,
    '| provider | local |',
    '| kek/1 | active |',
    '| subject | active | 1 |',
    '| auditor |',
  ];
  for (const part of expected) assert.ok(written.includes(part), part);
  assert.match(written, /root key can be copied/);
  const recorded = ledger.events.map(({ interaction }) => interaction);
  for (const question of PLAN_QUESTIONS) assert.ok(recorded.includes(`keys.ask.${question}`), question);
});
