/** Keys by the book, from outside: operators with the command line, approvers with keys of their own, an auditor who looks. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Body, MAIN, type Product, startProduct } from '../support/product.ts';

let product: Product;
let home: string;

before(async () => {
  product = await startProduct();
  home = mkdtempSync(join(tmpdir(), 'keyward-home-'));
});
after(() => rmSync(home, { recursive: true }));

interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `keyward keys …` as one person, as a pipeline would. */
function keys(as: string, ...args: string[]): Promise<Ran> {
  const argv = [MAIN, 'keys', ...args, '--as', as, '--data-dir', product.dataDir];
  const child = spawn(process.execPath, argv, {
    env: { PATH: process.env['PATH'], HOME: home, ...product.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ran = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, ...ran })));
}

async function json(as: string, ...args: string[]): Promise<Body> {
  const { status, out, err } = await keys(as, ...args, '--json');
  assert.equal(status, 0, `${args.join(' ')}: ${err}`);
  return JSON.parse(out) as Body;
}

const PATIENT = { resourceType: 'Patient', name: [{ family: 'Rehearsal' }], gender: 'female' };

/** Members of answers are texts, numbers or more members; these are texts. */
const textOf = (member: Body | undefined): string => (typeof member === 'string' ? member : '');

const because = ['--reason', 'rehearsal'];

test('[K5] approvers make their keys, which only they can read', async () => {
  const enrolled = await Promise.all(['approver-1', 'approver-2'].map((sub) => json(sub, 'enroll', ...because)));
  for (const { file } of enrolled) assert.equal(statSync(textOf(file)).mode & 0o777, 0o600);
});

test('[K1] a key is made, suspended and resumed, and its history says by whom and why', async () => {
  await json('operator', 'create', 'index/rehearsal', ...because);
  await json('operator', 'suspend', 'index/rehearsal', '--reason', 'ticket 1');
  await json('operator', 'resume', 'index/rehearsal', '--reason', 'ticket 1 closed');
  const { out, status } = await keys('operator', 'show', 'index/rehearsal');
  assert.equal(status, 0);
  assert.match(out, /suspended +operator +ticket 1$/m);
  assert.match(out, /active +operator +ticket 1 closed$/m);
  for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
});

test('[K3] a pipeline rotates the KEK and waits until every data key is under the new one', async () => {
  const { result } = await json('operator', 'rotate', 'kek', '--wait', ...because);
  assert.equal(result?.['state'], 'done');
  const { keks } = await json('auditor', 'list');
  assert.deepEqual(
    [...(keks as unknown as Body[])].map(({ ref, state }) => [ref, state]),
    [
      ['kek/1', 'deactivated'],
      ['kek/2', 'active'],
    ],
  );
});

test('[K5] [K7] an old KEK is destroyed only after two approvals and a wait, and can be had back meanwhile', async () => {
  const { request } = await json('operator', 'destroy', 'kek/1', '--reason', 'rewrapped');
  const id = textOf(request?.['id']);
  const own = await keys('operator', 'approve', id);
  assert.notEqual(own.status, 0);
  assert.match((await keys('approver-1', 'requests')).out, new RegExp(`^${id}  destroy +pending +operator$`, 'm'));
  const first = await keys('approver-1', 'approve', id);
  assert.deepEqual([first.status, /^approvals +1 of 2 approver-1$/m.test(first.out)], [0, true]);
  const again = await keys('approver-1', 'approve', id);
  assert.match(again.err, /^error: KEYS_APPROVAL_REFUSED .*already/);
  const second = await json('approver-2', 'approve', id);
  assert.equal(second['state'], 'executed');
  const waiting = await json('auditor', 'show', 'kek/1');
  assert.equal(waiting['destructions']?.[0]?.['state'], 'waiting');
  await json('approver-1', 'cancel', 'kek/1', '--reason', 'still needed');
  const back = await json('auditor', 'show', 'kek/1');
  assert.deepEqual(
    [back['versions']?.[0]?.['state'], back['destructions']?.[0]?.['state']],
    ['deactivated', 'cancelled'],
  );
});

test('[K11] a patient is named by the id of the record when keys are to be destroyed', async () => {
  const { body } = await product.fhir({ path: '/Patient', role: 'clinician', json: PATIENT });
  const { request } = await json('operator', 'shred', textOf(body['id']), ...because);
  assert.match(textOf(request?.['params']?.['patient']), /^[0-9a-f-]{36}$/);
  await json('operator', 'cancel', textOf(request?.['id']), ...because);
  const nobody = await keys('operator', 'shred', 'no-such-patient', ...because);
  assert.match(nobody.err, /^error: FHIR_NOT_FOUND/);
});

test('[K4] nobody does what another role is for, nor with a token that opens data', async () => {
  for (const [as, ...args] of [
    ['auditor', 'suspend', 'tenant'],
    ['approver-1', 'rotate', 'kek'],
    ['stranger', 'suspend', 'tenant'],
  ] as const) {
    const { status, err } = await keys(as, ...args, ...because);
    assert.equal(status, 1);
    assert.match(err, /^error: KEYS_ROLE_REFUSED /);
  }
  const scope = await product.fhir({ method: 'POST', path: '/Patient/any/$keyward-scope', role: 'clinician' });
  assert.deepEqual(
    [scope.status, scope.body['issue']?.[0]?.['details']?.['coding']?.[0]?.['code']],
    [403, 'ACCESS_DENIED'],
  );
  const answer = await product.admin({
    path: '/v1/keys/acts/suspend',
    role: 'clinician',
    raw: '{}',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(answer.status, 403);
});

test('[K7] the ledger tells who used a key, by process and purpose', async () => {
  const { body } = await product.fhir({ path: '/Patient', role: 'clinician', json: PATIENT });
  const { request } = await json('operator', 'shred', textOf(body['id']), ...because);
  const key = `subject/${textOf(request?.['params']?.['patient'])}`;
  const { out, status, err } = await keys('auditor', 'usage', key, '--days', '1');
  assert.equal(status, 0, err);
  assert.match(out, /^process +purpose +operation +count/);
  assert.match(out, /^gateway +TREAT +keys\.protect +\d+ +1 /m);
});

test('[K5] the description of the API lists every act with its role', async () => {
  const { status, body } = await product.admin({ path: '/v1/keys/openapi.json', role: 'auditor' });
  assert.equal(status, 200);
  assert.match(textOf(body['paths']?.['/v1/keys/acts/destroy']?.['post']?.['summary']), /Role: key-destroyer\. Waits/);
});

/** What a write comes to: its status, and the code where it is refused. */
async function written(): Promise<[number, unknown]> {
  const { status, body } = await product.fhir({ path: '/Patient', role: 'clinician', json: PATIENT });
  return [status, body['issue']?.[0]?.['details']?.['coding']?.[0]?.['code']];
}

const activeKek = async (): Promise<string | undefined> => {
  const { keks } = await json('auditor', 'list');
  const active = [...(keks as unknown as Body[])].find(({ state }) => textOf(state) === 'active');
  return active && textOf(active['ref']);
};

test('[K1] with the active KEK suspended nothing is read or written, and an operator can resume it', async () => {
  const { body } = await product.fhir({ path: '/Patient', role: 'clinician', json: PATIENT });
  const kek = (await activeKek()) ?? '';
  await json('operator', 'suspend', kek, '--reason', 'ticket 2');
  assert.deepEqual(await written(), [409, 'KEYS_STATE_REFUSED']);
  const path = `/Patient/${textOf(body['id'])}`;
  assert.equal((await product.fhir({ path, role: 'clinician' })).status, 503, 'the store cannot open its body');
  await json('operator', 'resume', kek, '--reason', 'ticket 2 closed');
  assert.deepEqual(await written(), [201, undefined]);
  assert.equal((await product.fhir({ path, role: 'clinician' })).status, 200);
});

test('[K8] with the active KEK compromised its successor comes by itself, and an accepted risk brings the data along', async () => {
  const { body } = await product.fhir({ path: '/Patient', role: 'clinician', json: PATIENT });
  const kek = (await activeKek()) ?? '';
  const { result } = await json('operator', 'compromise', kek, '--reason', 'incident 12', '--wait');
  assert.equal(result?.['state'], 'done');
  assert.notEqual(await activeKek(), undefined);
  assert.deepEqual(await written(), [409, 'KEYS_STATE_REFUSED'], 'indexes stand under what became known');
  const { request } = await json('operator', 'accept-risk', kek, '--days', '1', '--reason', 'until re-encrypted');
  for (const approver of ['approver-1', 'approver-2']) await json(approver, 'approve', textOf(request?.['id']));
  await json('operator', 'rewrap', '--wait', ...because);
  assert.deepEqual(await written(), [201, undefined]);
  assert.equal((await product.fhir({ path: `/Patient/${textOf(body['id'])}`, role: 'clinician' })).status, 200);
  const { exposed } = await json('auditor', 'stale');
  assert.ok([...(exposed as unknown as Body[])].some((row) => textOf(row['kek']) === kek));
});
