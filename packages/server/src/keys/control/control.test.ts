/** Acts and approvals under attack: whose approval does not count, rows that somebody altered, races, interruptions. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type ErrorCode, newUuid } from '../../core/index.ts';
import { type KeyDatabase, startKeyDatabase } from '../testing.ts';
import { requestDigest, signApproval } from './request-terms.ts';
import {
  approve,
  assertRefused,
  callBy,
  ISSUER,
  openDesk,
  openWithApprovers,
  REASON,
  refusedWith,
  requested,
  signatureBy,
  termsOf,
} from './testing.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

const open = () => openDesk(database.pool);
const openEnrolled = (...subs: string[]) => openWithApprovers(database.pool, ...subs);

const at = (params: unknown = { what: 'kek/1' }) => ({ params, reason: REASON });

test('[K4] an act that takes no approvals is recorded with who, why and which key, and then done', async () => {
  const desk = await open();
  desk.ledger.before = async () => assert.deepEqual(desk.done, []);
  const answer = await desk.management.act('at-once', callBy('operator', at()));
  assert.deepEqual(answer, { result: { name: 'at-once' } });
  assert.deepEqual(desk.done, [{ name: 'at-once', params: { what: 'kek/1', days: 7 }, by: 'operator' }]);
  const { actor, interaction, resources, reason, rule, decision } = desk.ledger.events.at(-1)!;
  assert.deepEqual([actor.sub, actor.issuer, interaction, decision], ['operator', ISSUER, 'keys.at-once', 'permit']);
  assert.deepEqual([resources, reason, rule], [['kek/1'], REASON, 'keys.role.key-destroyer']);
});

test('[L1] when the ledger cannot record, nothing is done, asked for or approved', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  await approve(desk, 'approver-1', request);
  desk.ledger.down = true;
  const attempts = [
    () => desk.management.act('at-once', callBy('operator', at())),
    () => requested(desk),
    () => approve(desk, 'approver-2', request),
    () => desk.management.cancel(request.id, callBy('operator', { reason: REASON })),
    () => desk.management.ask('how-many', callBy('auditor', { params: {} })),
  ];
  for (const attempt of attempts) await assert.rejects(attempt(), refusedWith('LEDGER_UNAVAILABLE'));
  desk.ledger.down = false;
  const { requests } = await desk.management.requests(callBy('auditor', { which: 'newest' }));
  assert.deepEqual(
    requests.map(({ state, approvals }) => [state, approvals.length]),
    [['pending', 1]],
  );
  assert.deepEqual(desk.done, []);
});

const STRANGERS: readonly [what: string, token: string, code: ErrorCode][] = [
  ['nobody', '', 'IDENTITY_TOKEN_MISSING'],
  ['an operator without a second factor', 'operator;mfa=no', 'IDENTITY_MFA_REQUIRED'],
  ['an operator with a token that opens data', 'operator;role=clinician', 'KEYS_ROLE_REFUSED'],
  ['a process', 'gateway', 'KEYS_ROLE_REFUSED'],
  ['the same name at another issuer', 'operator;issuer=https://other.example', 'KEYS_ROLE_REFUSED'],
  ['somebody with another role', 'approver-1', 'KEYS_ROLE_REFUSED'],
  ['the auditor', 'auditor', 'KEYS_ROLE_REFUSED'],
];

for (const [what, token, code] of STRANGERS) {
  test(`[K4] ${what} does nothing with keys, and the attempt is recorded`, async () => {
    const desk = await open();
    for (const act of ['at-once', 'dangerous'])
      await assertRefused(desk, code, () => desk.management.act(act, callBy(token, at())));
    assert.deepEqual(desk.done, []);
  });
}

const MALFORMED: Record<string, unknown> = {
  'no reason': { params: { what: 'kek/1' } },
  'an empty reason': { params: { what: 'kek/1' }, reason: '' },
  'a reason of two lines': { params: { what: 'kek/1' }, reason: 'one\ntwo' },
  'a reason that is too long': { params: { what: 'kek/1' }, reason: 'x'.repeat(501) },
  'an unknown parameter': at({ what: 'kek/1', force: true }),
  'no parameters': { reason: REASON },
};

for (const [what, body] of Object.entries(MALFORMED)) {
  test(`[K5] a request with ${what} is refused`, async () => {
    const desk = await open();
    for (const act of ['at-once', 'dangerous'])
      await assertRefused(desk, 'KEYS_REQUEST_INVALID', () => desk.management.act(act, callBy('operator', body)));
    assert.deepEqual(desk.done, []);
  });
}

test('[K5] what nobody has heard of is refused without its name in the ledger', async () => {
  const desk = await open();
  const attempt = () => desk.management.act('Jane-Roe', callBy('operator', at()));
  await assertRefused(desk, 'KEYS_REQUEST_INVALID', attempt);
  assert.doesNotMatch(JSON.stringify(desk.ledger.events), /Jane/);
});

test('[K5] a dangerous act is done once, after two others have signed exactly what was asked', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  assert.deepEqual([request.state, request.needed, request.params], ['pending', 2, { what: 'kek/1', days: 7 }]);
  assert.equal(requestDigest(termsOf(request)).toString('hex'), request.digest);
  const first = await approve(desk, 'approver-1', request);
  assert.deepEqual([first.state, desk.done], ['pending', []]);
  const second = await approve(desk, 'approver-2', request);
  assert.deepEqual([second.state, second.result], ['executed', { name: 'dangerous' }]);
  assert.deepEqual(desk.done, [{ name: 'dangerous', params: { what: 'kek/1', days: 7 }, by: 'operator' }]);
  const { rule, resources, actor } = desk.ledger.events.at(-1)!;
  assert.match(rule, /^keys\.approved by .*approver-1, .*approver-2$/);
  assert.deepEqual([resources, actor.sub], [[`ControlRequest/${request.id}`, 'kek/1'], 'operator']);
});

test('[K5] an act that fails after its approvals says why, and is not done again', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk, 'refused');
  await approve(desk, 'approver-1', request);
  const ended = await approve(desk, 'approver-2', request);
  assert.deepEqual([ended.state, ended.result], ['failed', { code: 'KEYS_HELD' }]);
  await assertRefused(desk, 'KEYS_REQUEST_ENDED', () => approve(desk, 'approver-3', request));
});

test('[K5] nobody approves his own request, whichever token he shows', async () => {
  const desk = await openEnrolled('manager-who-approves', 'approver-1');
  const request = await requested(desk, 'dangerous', 'manager-who-approves');
  for (const token of ['manager-who-approves', 'manager-who-approves;jti=another;role=auditor'])
    await assertRefused(desk, 'KEYS_APPROVAL_REFUSED', () => approve(desk, 'manager-who-approves', request, token));
  await approve(desk, 'approver-1', request);
  assert.deepEqual(desk.done, []);
});

test('[K5] one approver counts once: an approval that is sent again is refused', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  await approve(desk, 'approver-1', request);
  await assertRefused(desk, 'KEYS_APPROVAL_REFUSED', () => approve(desk, 'approver-1', request));
  await assertRefused(desk, 'KEYS_APPROVAL_REFUSED', () => approve(desk, 'approver-1', request, 'approver-2'));
  assert.deepEqual(desk.done, []);
});

test('[K5] a signature is for one request, by one key, over every term', async () => {
  const desk = await openEnrolled();
  const [request, other] = [await requested(desk), await requested(desk)];
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const key = desk.keys.get('approver-1')!;
  const terms = termsOf(request);
  const forged: readonly string[] = [
    signatureBy(desk, 'approver-1', other),
    signatureBy(desk, 'approver-2', request),
    signApproval(stranger, requestDigest(terms)).toString('base64url'),
    ...[
      { ...terms, params: { what: 'kek/2', days: 7 } },
      { ...terms, needed: 1 },
      { ...terms, reason: 'another' },
      { ...terms, act: 'at-once' },
      { ...terms, requester: { ...terms.requester, sub: 'approver-2' } },
      { ...terms, expiresAt: new Date(terms.expiresAt.getTime() + 1) },
    ].map((changed) => signApproval(key, requestDigest(changed)).toString('base64url')),
  ];
  for (const signature of forged) {
    const attempt = () => desk.management.approve(request.id, callBy('approver-1', { signature }));
    await assertRefused(desk, 'KEYS_APPROVAL_REFUSED', attempt);
  }
});

test('[K5] a request expires, and is then neither approved nor done', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  await approve(desk, 'approver-1', request);
  desk.clock.at = new Date(request.expiresAt);
  await assertRefused(desk, 'KEYS_REQUEST_ENDED', () => approve(desk, 'approver-2', request));
  const { requests } = await desk.management.requests(callBy('auditor', { which: 'newest' }));
  assert.deepEqual(
    requests.map(({ state }) => state),
    ['expired'],
  );
  assert.deepEqual((await desk.management.requests(callBy('auditor', { which: 'open' }))).requests, []);
});

test('[K5] a request is withdrawn by its requester or an approver, and by nobody else', async () => {
  const desk = await openEnrolled();
  const cancel = (id: string, by: string) => desk.management.cancel(id, callBy(by, { reason: REASON }));
  for (const by of ['operator', 'approver-3']) {
    const request = await requested(desk);
    await assertRefused(desk, 'KEYS_ROLE_REFUSED', () => cancel(request.id, 'auditor'));
    assert.equal((await cancel(request.id, by)).state, 'cancelled');
    await assertRefused(desk, 'KEYS_REQUEST_ENDED', () => approve(desk, 'approver-1', request));
    await assertRefused(desk, 'KEYS_REQUEST_ENDED', () => cancel(request.id, by));
  }
});

const ALTERATIONS = [
  `params = '{"what": "kek/2", "days": 7}'`,
  'needed = 1',
  `expires_at = expires_at + interval '1 year'`,
  `requester_sub = 'approver-3'`,
  `act = 'repeatable'`,
  `reason = 'harmless'`,
  `digest = decode(repeat('00', 32), 'hex')`,
];

for (const set of ALTERATIONS) {
  test(`[K5] a request that somebody altered in the database (${set.split(' ')[0]}) is not approved`, async () => {
    const desk = await openEnrolled();
    const request = await requested(desk);
    await desk.pool.query(`UPDATE control_request SET ${set} WHERE id = $1`, [request.id]);
    await assertRefused(desk, 'KEYS_REQUEST_ALTERED', () => approve(desk, 'approver-1', request));
    const { requests } = await desk.management.requests(callBy('auditor', { which: 'newest' }));
    assert.deepEqual(
      requests.map(({ state }) => state),
      ['altered'],
    );
  });
}

test('[K5] a request that was made by SQL with too few approvals of its own takes as many as configured', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  const weak = { ...termsOf(request), needed: 1 };
  const set = 'UPDATE control_request SET needed = 1, digest = $2 WHERE id = $1';
  await desk.pool.query(set, [request.id, requestDigest(weak)]);
  const signature = signApproval(desk.keys.get('approver-1')!, requestDigest(weak)).toString('base64url');
  const { state } = await desk.management.approve(request.id, callBy('approver-1', { signature }));
  assert.deepEqual([state, desk.done], ['pending', []]);
});

test('[K5] approvals that were planted by SQL do not count when the act is to be done', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  const plant = `INSERT INTO control_approval (request_id, issuer, sub, public_key, signature, at)
    SELECT $1, issuer, sub, public_key, decode(repeat('ab', 64), 'hex'), now() FROM approver_key WHERE tenant = $2 AND sub = $3`;
  await desk.pool.query(plant, [request.id, desk.tenant, 'approver-2']);
  const ended = await approve(desk, 'approver-1', request);
  assert.deepEqual([ended.state, desk.done], ['failed', []]);
  assert.equal((ended.result as { code: string }).code, 'KEYS_APPROVAL_REFUSED');
});

test('[K5] when two last approvals race, the act is done once', async () => {
  const desk = await openEnrolled();
  const twin = await desk.restarted();
  for (let round = 0; round < 5; round++) {
    const request = await requested(desk);
    await approve(desk, 'approver-1', request);
    // Two custodians on one database: no lock in memory helps.
    const outcomes = await Promise.allSettled([
      approve(desk, 'approver-2', request),
      approve(twin, 'approver-3', request),
    ]);
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(desk.done.length + twin.done.length, round + 1);
  }
});

test('[K5] an act that was cut off is done again only where that does no harm; else it failed, and says so', async () => {
  for (const [act, state, times] of [
    ['repeatable', 'executed', 1],
    ['dangerous', 'failed', 0],
  ] as const) {
    const desk = await openEnrolled();
    const request = await requested(desk, act);
    await approve(desk, 'approver-1', request);
    await desk.pool.query(`UPDATE control_request SET state = 'executing' WHERE id = $1`, [request.id]);
    const body = [request.id, ISSUER, 'approver-2', Buffer.from(signatureBy(desk, 'approver-2', request), 'base64url')];
    const insert = `INSERT INTO control_approval (request_id, issuer, sub, public_key, signature, at)
      SELECT $1, $2, $3, public_key, $4, now() FROM approver_key WHERE tenant = $5 AND sub = $3`;
    await desk.pool.query(insert, [...body, desk.tenant]);
    const restarted = await desk.restarted();
    const { requests } = await restarted.management.requests(callBy('auditor', { which: 'newest' }));
    assert.deepEqual([requests[0]?.state, restarted.done.length], [state, times]);
    if (state === 'failed') assert.deepEqual(requests[0]?.result, { code: 'KEYS_ACT_INTERRUPTED' });
  }
});

test('[K5] a request that was done is not done again from a row that was put back, and that raises an alarm', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk, 'repeatable');
  await approve(desk, 'approver-1', request);
  assert.equal((await approve(desk, 'approver-2', request)).state, 'executed');
  const put = (state: string) =>
    desk.pool.query('UPDATE control_request SET state = $2, ended_at = NULL, result = NULL WHERE id = $1', [
      request.id,
      state,
    ]);
  await put('executing');
  const restarted = await desk.restarted();
  const { requests } = await restarted.management.requests(callBy('auditor', { id: request.id }));
  assert.deepEqual([requests[0]?.state, requests[0]?.result], ['failed', { code: 'KEYS_REQUEST_ALTERED' }]);
  assert.deepEqual(restarted.ledger.events.filter((event) => event.class === 'key.alarm').length, 1);
  await put('pending');
  await assertRefused(desk, 'KEYS_REQUEST_ALTERED', () => approve(desk, 'approver-3', request));
  assert.deepEqual([desk.done.length, restarted.done.length], [1, 0]);
});

test('[K5] what was withdrawn is not approved from a row that was put back', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk);
  await desk.management.cancel(request.id, callBy('operator', { reason: REASON }));
  await desk.pool.query(`UPDATE control_request SET state = 'pending', ended_at = NULL WHERE id = $1`, [request.id]);
  await assertRefused(desk, 'KEYS_REQUEST_ALTERED', () => approve(desk, 'approver-1', request));
});

test('[K5] an act that was cut off is not done again long after its request expired', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk, 'repeatable');
  desk.during = async () => {
    throw new Error('cut off');
  };
  await approve(desk, 'approver-1', request);
  await approve(desk, 'approver-2', request);
  await desk.pool.query('DELETE FROM control_ended WHERE tenant = $1', [desk.tenant]);
  await desk.pool.query(`UPDATE control_request SET state = 'executing' WHERE id = $1`, [request.id]);
  const late = await desk.restarted(new Date(Date.parse(request.expiresAt) + 16 * 60_000));
  const { requests } = await late.management.requests(callBy('auditor', { id: request.id }));
  assert.deepEqual([requests[0]?.result, late.done], [{ code: 'KEYS_REQUEST_ENDED' }, []]);
});

test('[K5] one request is found by its id however many there are, and nobody has more than twenty waiting', async () => {
  const desk = await openEnrolled();
  const first = await requested(desk);
  for (let count = 1; count < 20; count += 1) await requested(desk);
  await assertRefused(desk, 'KEYS_REQUESTS_TOO_MANY', () => requested(desk));
  await requested(desk, 'dangerous', 'manager-who-approves');
  const { requests } = await desk.management.requests(callBy('auditor', { id: first.id }));
  assert.deepEqual(
    requests.map(({ id }) => id),
    [first.id],
  );
  await desk.management.cancel(first.id, callBy('operator', { reason: REASON }));
  await requested(desk);
  const unknown = () => desk.management.requests(callBy('auditor', { id: newUuid() }));
  await assertRefused(desk, 'KEYS_REQUEST_UNKNOWN', unknown);
});

test('[K5] what one custodian is doing, another that starts meanwhile does not do as well', async () => {
  const desk = await openEnrolled();
  const request = await requested(desk, 'repeatable');
  await approve(desk, 'approver-1', request);
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  desk.during = () => (begun.resolve(), gate.promise);
  const ending = approve(desk, 'approver-2', request);
  await begun.promise;
  const twin = await desk.restarted();
  gate.resolve();
  assert.equal((await ending).state, 'executed');
  assert.deepEqual([desk.done.length, twin.done], [1, []]);
});
