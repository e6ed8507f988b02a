/** Who may manage keys: roles that exclude each other, approver keys, settings, the first operators. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type KeyDatabase, startKeyDatabase } from '../testing.ts';
import { custodianApi } from './api.ts';
import { canonicalJson, signEnrolment } from './request-terms.ts';
import {
  approve,
  assertRefused,
  callBy,
  ISSUER,
  openDesk,
  openWithApprovers,
  rawKey,
  REASON,
  requested,
} from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const open = () => openDesk(database.pool);
const openEnrolled = (...subs: string[]) => openWithApprovers(database.pool, ...subs);

const at = (params: unknown = { what: 'kek/1' }) => ({ params, reason: REASON });

test('[K4] roles that one person must not hold are not granted together', async () => {
  const desk = await openEnrolled();
  const grant = async (sub: string, role: string) => {
    const params = { issuer: ISSUER, sub, role };
    const answer = await desk.management.act('grant', callBy('operator', { params, reason: REASON }));
    if (!('request' in answer)) throw new Error('granted at once');
    await approve(desk, 'approver-1', answer.request);
    return approve(desk, 'approver-2', answer.request);
  };
  for (const [sub, role] of [
    ['auditor', 'key-creator'],
    ['auditor', 'approver'],
    ['operator', 'auditor'],
    ['gateway', 'key-rotator'],
  ] as const) {
    const ended = await grant(sub, role);
    assert.deepEqual([ended.state, (ended.result as { code: string }).code], ['failed', 'KEYS_DUTIES_CONFLICT']);
  }
  assert.equal((await grant('new-person', 'key-rotator')).state, 'executed');
  assert.equal((await grant('operator', 'approver')).state, 'executed');
});

test('[K4] a role that was planted by SQL beside one it excludes makes both useless, and that is recorded', async () => {
  const desk = await open();
  const plant = `INSERT INTO operator_role (tenant, issuer, sub, role, granted_by, granted_at) VALUES ($1, $2, $3, $4, 'x', now())`;
  await desk.pool.query(plant, [desk.tenant, ISSUER, 'auditor', 'key-destroyer']);
  await assertRefused(desk, 'KEYS_DUTIES_CONFLICT', () => desk.management.act('at-once', callBy('auditor', at())));
  const ask = () => desk.management.ask('how-many', callBy('auditor', { params: {} }));
  await assertRefused(desk, 'KEYS_DUTIES_CONFLICT', ask);
  await desk.pool.query(plant, [desk.tenant, ISSUER, 'nobody', 'superuser']);
  await assertRefused(desk, 'KEYS_ROLE_REFUSED', () => desk.management.act('at-once', callBy('nobody', at())));
});

test('[K4] whoever goes from a trial to an issuer of his own has the operators of the configuration, and nobody of the trial', async () => {
  const trial = 'urn:example:trial';
  const old = await openDesk(database.pool, { issuers: [trial] });
  await old.management.act('at-once', callBy(`operator;issuer=${trial}`, at()));
  const desk = await openDesk(database.pool, { tenant: old.tenant });
  await desk.management.act('at-once', callBy('operator', at()));
  const attempt = () => desk.management.act('at-once', callBy(`operator;issuer=${trial}`, at()));
  await assertRefused(desk, 'KEYS_ROLE_REFUSED', attempt);
  assert.deepEqual([old.done.length, desk.done.length], [1, 1]);
});

test('[K4] the last approvers keep their role, since nobody could approve afterwards', async () => {
  const desk = await openEnrolled();
  const revoke = async (sub: string) => {
    const params = { issuer: ISSUER, sub, role: 'approver' };
    const answer = await desk.management.act('revoke', callBy('operator', { params, reason: REASON }));
    if (!('request' in answer)) throw new Error('revoked at once');
    await approve(desk, 'approver-1', answer.request);
    return approve(desk, 'approver-2', answer.request);
  };
  assert.equal((await revoke('manager-who-approves')).state, 'executed');
  assert.equal((await revoke('approver-3')).state, 'executed');
  const ended = await revoke('approver-2');
  assert.deepEqual([ended.state, ended.result], ['failed', { code: 'KEYS_APPROVERS_TOO_FEW' }]);
});

test('[K5] a key is enrolled by whoever has it, once, and for one person', async () => {
  const desk = await openEnrolled('approver-1');
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const enrolAs = (by: string, sub: string, key = privateKey) => {
    const proof = signEnrolment(key, desk.tenant, { issuer: ISSUER, sub }).toString('base64url');
    const body = { params: { publicKey: rawKey(publicKey), proof }, reason: REASON };
    return desk.management.act('enroll', callBy(by, body));
  };
  await assertRefused(desk, 'KEYS_ROLE_REFUSED', () => enrolAs('operator', 'operator'));
  await assertRefused(desk, 'KEYS_ENROLMENT_REFUSED', () => enrolAs('approver-1', 'approver-1'));
  await assertRefused(desk, 'KEYS_ENROLMENT_REFUSED', () => enrolAs('approver-2', 'approver-3'));
  const foreign = generateKeyPairSync('ed25519').privateKey;
  await assertRefused(desk, 'KEYS_ENROLMENT_REFUSED', () => enrolAs('approver-2', 'approver-2', foreign));
  await enrolAs('approver-2', 'approver-2');
  await assertRefused(desk, 'KEYS_ENROLMENT_REFUSED', () => enrolAs('approver-3', 'approver-3'));
});

test('[K5] another key for an approver takes approvals, and what the old one signed counts no longer', async () => {
  const desk = await openEnrolled();
  const waiting = await requested(desk);
  await approve(desk, 'approver-3', waiting);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const person = { issuer: ISSUER, sub: 'approver-3' };
  const proof = signEnrolment(privateKey, desk.tenant, person).toString('base64url');
  const body = { params: { ...person, publicKey: rawKey(publicKey), proof }, reason: REASON };
  const answer = await desk.management.act('re-enroll', callBy('approver-3', body));
  if (!('request' in answer)) throw new Error('done at once');
  await approve(desk, 'approver-1', answer.request);
  assert.equal((await approve(desk, 'approver-2', answer.request)).state, 'executed');
  const ended = await approve(desk, 'approver-1', waiting);
  assert.deepEqual([ended.state, desk.done], ['failed', []]);
});

test('[K4] whoever was the requester must still have the role when his request is done', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  await approve(desk, 'approver-1', request);
  await desk.pool.query(`DELETE FROM operator_role WHERE tenant = $1 AND sub = 'operator'`, [desk.tenant]);
  const ended = await approve(desk, 'approver-2', request);
  assert.deepEqual([(ended.result as { code: string }).code, desk.done], ['KEYS_ROLE_REFUSED', []]);
});

test('[K5] a setting becomes stricter under dual control, and never weaker than the configuration', async () => {
  const desk = await openEnrolled();
  const set = async (value: number) => {
    const params = { name: 'approvals.needed', value };
    const answer = await desk.management.act('set-policy', callBy('operator', { params, reason: REASON }));
    if (!('request' in answer)) throw new Error('set at once');
    for (const sub of ['approver-1', 'approver-2', 'approver-3'].slice(0, answer.request.needed))
      await approve(desk, sub, answer.request);
  };
  await set(3);
  assert.equal((await requested(desk)).needed, 3);
  await set(1);
  assert.equal((await requested(desk)).needed, 2);
  const outside = callBy('operator', { params: { name: 'approvals.needed', value: 11 }, reason: REASON });
  await assertRefused(desk, 'KEYS_REQUEST_INVALID', () => desk.management.act('set-policy', outside));
});

test('[K4] the first operators get their roles once, and the ledger tells that', async () => {
  const desk = await open();
  const first = desk.ledger.events.filter(({ rule }) => rule === 'keys.first-operators');
  assert.equal(first.length, 6);
  await desk.pool.query(`DELETE FROM operator_role WHERE tenant = $1 AND sub <> 'auditor'`, [desk.tenant]);
  const again = await desk.restarted();
  assert.deepEqual(again.ledger.events, []);
  await assertRefused(again, 'KEYS_ROLE_REFUSED', () => again.management.act('at-once', callBy('operator', at())));
});

test('[K5] questions are for the roles of their row, and recorded', async () => {
  const desk = await open();
  assert.deepEqual(await desk.management.ask('how-many', callBy('auditor', { params: {} })), { count: 3 });
  assert.equal(desk.ledger.events.at(-1)?.interaction, 'keys.ask.how-many');
  const ask = () => desk.management.ask('how-many', callBy('operator', { params: {} }));
  await assertRefused(desk, 'KEYS_ROLE_REFUSED', ask);
});

test('[K5] canonical JSON does not depend on the order of members, and keeps what differs apart', () => {
  assert.equal(canonicalJson({ b: [1, { d: null, c: 'x"' }], a: true }), '{"a":true,"b":[1,{"c":"x\\"","d":null}]}');
  assert.throws(() => canonicalJson({ a: undefined }));
  assert.throws(() => canonicalJson([Number.NaN]));
});

test('[S1] the API description has an operation for every act and question, with its schema', async () => {
  const { management } = await open();
  const { paths } = custodianApi(management) as { paths: Record<string, { post: { responses: object } }> };
  for (const { name, dual } of management.acts)
    assert.ok((dual ? '202' : '200') in paths[`/v1/keys/acts/${name}`]!.post.responses, name);
  for (const { name } of management.questions) assert.ok(paths[`/v1/keys/questions/${name}`], name);
  assert.ok(JSON.stringify(paths['/v1/keys/acts/grant']).includes('"key-destroyer"'));
});
