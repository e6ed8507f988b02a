import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KeyCall } from '../../admin/index.ts';
import { KeywardError, newUuid } from '../../core/index.ts';
import { canonicalJson, requestDigest } from '../../keys/index.ts';
import { ACT_VERBS, QUESTION_VERBS } from '../keys/verbs.ts';
import { openWorld, type World } from '../testing.ts';

const VERBS = [...ACT_VERBS, ...QUESTION_VERBS].map(({ name }) => name);

for (const name of [...VERBS, 'requests', 'approve', 'cancel', 'enroll', 'usage', 'verify-certificate']) {
  test(`[S1] keyward keys ${name} --help has an example and says who one is`, async () => {
    await using world = await openWorld({ running: false });
    const { status, out } = await world.keyward('keys', name, '--help');
    assert.equal(status, 0);
    assert.match(out, new RegExp(`Example:\n  \\$ keyward keys ${name}`));
    for (const option of ['--json', '--as', '--token-file']) assert.match(out, new RegExp(option));
  });
}

for (const { name, takes = [] } of ACT_VERBS) {
  test(`[K1] keyward keys ${name} without a reason is refused before anything is sent`, async () => {
    await using world = await openWorld();
    world.keys = () => assert.fail('sent');
    const { status, err } = await world.keyward('keys', name, ...takes.map(() => 'x'));
    assert.equal(status, 2);
    assert.match(err, /^error: CLI_USAGE .*--reason/);
  });
}

/** Keeps what is sent, and answers each path. */
function custodianOf(world: World, answers: Record<string, unknown>): KeyCall[] {
  const calls: KeyCall[] = [];
  world.keys = (call) => {
    calls.push(call);
    return answers[call.path] ?? {};
  };
  return calls;
}

const claims = ({ operator = '' }: KeyCall) =>
  JSON.parse(Buffer.from(operator.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

test('[K4] an act is sent with its parameters and its reason, under the name given', async () => {
  await using world = await openWorld();
  const calls = custodianOf(world, { 'acts/suspend': { result: { state: 'suspended' } } });
  const { status, out } = await world.keyward('keys', 'suspend', 'kek/3', '--reason', 'ticket 1', '--as', 'alice');
  assert.deepEqual([status, out], [0, 'state  suspended\n']);
  assert.deepEqual(
    calls.map(({ path, body }) => [path, body]),
    [['acts/suspend', { params: { target: 'kek/3' }, reason: 'ticket 1' }]],
  );
  assert.deepEqual([claims(calls[0]!)['sub'], claims(calls[0]!)['role']], ['alice', 'admin']);
});

test('[A1] with a real issuer the token comes from a file, and none is minted', async () => {
  await using world = await openWorld();
  const [token] = [(await world.keyward('token', '--role', 'auditor', '--sub', 'eve')).out.trim()];
  world.services = { ...world.services, mintToken: () => assert.fail('minted') };
  const calls = custodianOf(world, { 'questions/list': { keks: [] } });
  const file = join(world.directory, 'token');
  writeFileSync(file, `${token}\n`);
  assert.equal((await world.keyward('keys', 'list', '--token-file', file)).status, 0);
  assert.equal(claims(calls[0]!)['sub'], 'eve');
  const missing = await world.keyward('ledger', 'tail', '--token-file', join(world.directory, 'none'));
  assert.equal(missing.status, 2);
  assert.match(missing.err, /^error: CLI_TOKEN /);
  writeFileSync(file, 'two words');
  assert.equal((await world.keyward('keys', 'list', '--token-file', file)).status, 2);
});

test('[S1] lists fit a terminal of 80 columns, and say none when there is none', async () => {
  await using world = await openWorld();
  const kek = { ref: 'kek/1', state: 'active', createdAt: '2026-01-02T03:04:05.678Z', activatedAt: null, uses: 7 };
  const key = { ...kek, ref: `key/${'ab'.repeat(16)}`, state: 'pre-activation' };
  custodianOf(world, {
    'questions/list': { keks: [kek], counts: [{ kind: 'subject', state: 'active', keys: 3 }], keys: [key] },
  });
  const { out } = await world.keyward('keys', 'list', '--kind', 'subject');
  assert.match(out, /^kek\/1 +active +2026-01-02 03:04 +- +7$/m);
  assert.match(out, /^subject +active +3$/m);
  for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
  custodianOf(world, { 'questions/jobs': { jobs: [] } });
  assert.equal((await world.keyward('keys', 'jobs')).out, 'none\n');
});

test('[K3] rotate --wait shows the progress, and fails with the code of the job', async () => {
  await using world = await openWorld();
  const id = newUuid();
  const job = { id, kind: 'rotate-kek', total: 10, startedAt: '2026-01-02T03:04:05Z', code: null };
  const rewrap = { ...job, id: newUuid(), kind: 'rewrap', state: 'done', done: 4, total: 4 };
  const states = [[{ ...job, state: 'running', done: 5 }], [rewrap, { ...job, state: 'done', done: 10 }], [rewrap]];
  world.keys = ({ path }) => (path === 'acts/rotate' ? { result: { job: id } } : { jobs: states.shift() });
  const rotate = () => world.keyward('keys', 'rotate', 'kek', '--reason', 'monthly', '--wait', '--json');
  const { status, out, err } = await rotate();
  assert.deepEqual([status, (JSON.parse(out) as { result: { done: number } }).result.done], [0, 4]);
  assert.match(err, /^rotate-kek 5 of 10\nrotate-kek 10 of 10\nrewrap 4 of 4\n$/);
  states.push([{ ...job, state: 'done', done: 10, code: 'KEYS_NOT_AUTHENTIC' as never }]);
  const failed = await rotate();
  assert.equal(failed.status, 1);
  assert.match(failed.err, /"code":"KEYS_NOT_AUTHENTIC"/);
});

function requestOf(change: object = {}) {
  const terms = {
    tenant: 'default',
    id: newUuid(),
    act: 'destroy',
    params: { target: 'kek/1' },
    requester: { issuer: 'https://issuer.example', sub: 'operator' },
    reason: 'rewrapped',
    needed: 2,
    ...change,
  };
  const expiresAt = new Date(Date.now() + 60_000);
  const digest = requestDigest({ ...terms, expiresAt }).toString('hex');
  const createdAt = new Date().toISOString();
  return { ...terms, expiresAt: expiresAt.toISOString(), digest, createdAt, state: 'pending', approvals: [] };
}

const ME = {
  tenant: 'default',
  issuer: 'https://issuer.example',
  sub: 'approver-1',
  roles: ['approver'],
  enrolled: false,
};

async function enrolled(world: World): Promise<string> {
  const keyFile = join(world.directory, 'approver.pem');
  custodianOf(world, { 'questions/me': ME, 'acts/enroll': { result: {} } });
  const { status } = await world.keyward('keys', 'enroll', '--key-file', keyFile, '--reason', 'new');
  assert.equal(status, 0);
  return keyFile;
}

test('[K5] enroll makes a key that only its owner can read, proves it, and never overwrites one', async () => {
  await using world = await openWorld();
  const keyFile = await enrolled(world);
  assert.match(readFileSync(keyFile, 'utf8'), /^-----BEGIN PRIVATE KEY-----/);
  const calls = custodianOf(world, { 'questions/me': ME });
  const again = await world.keyward('keys', 'enroll', '--key-file', keyFile, '--reason', 'new');
  assert.deepEqual([again.status, calls.length], [2, 1]);
  assert.match(again.err, /^error: CLI_APPROVER_KEY /);
});

test('[K5] a key that the custodian did not take is kept for nobody', async () => {
  await using world = await openWorld();
  const keyFile = join(world.directory, 'approver.pem');
  world.keys = ({ path }) => {
    if (path === 'questions/me') return ME;
    throw new KeywardError('KEYS_ENROLMENT_REFUSED');
  };
  assert.equal((await world.keyward('keys', 'enroll', '--key-file', keyFile, '--reason', 'new')).status, 1);
  assert.equal(existsSync(keyFile), false);
});

test('[K5] approve shows every term and signs exactly what it shows', async () => {
  await using world = await openWorld();
  const keyFile = await enrolled(world);
  const request = requestOf();
  const after = { ...request, approvals: [{ issuer: ME.issuer, sub: ME.sub, at: request.createdAt }] };
  const answers = { requests: { requests: [request] }, [`requests/${request.id}/approve`]: after, 'questions/me': ME };
  const calls = custodianOf(world, answers);
  const { status, out } = await world.keyward(
    'keys',
    'approve',
    request.id,
    '--key-file',
    keyFile,
    '--as',
    'approver-1',
  );
  assert.equal(status, 0);
  assert.match(out, /^act {8}destroy \{"target":"kek\/1"\}$/m);
  const { signature } = calls.at(-1)!.body as { signature: string };
  const message = Buffer.concat([Buffer.from('keyward/control-approval/1'), Buffer.from(request.digest, 'hex')]);
  assert.ok(verify(null, message, readFileSync(keyFile), Buffer.from(signature, 'base64url')));
});

test('[K5] what is shown and its digest must agree, or nothing is signed', async () => {
  await using world = await openWorld();
  const keyFile = await enrolled(world);
  const request = { ...requestOf(), params: { target: 'kek/2' } };
  const calls = custodianOf(world, { requests: { requests: [request] }, 'questions/me': ME });
  const { status, err } = await world.keyward('keys', 'approve', request.id, '--key-file', keyFile);
  assert.equal(status, 5);
  assert.match(err, /^error: CLI_REQUEST_DIFFERS /);
  assert.deepEqual(
    calls.map(({ path }) => path),
    ['requests'],
  );
});

test('[K5] an approver key that others can read, or of another kind, signs nothing', async () => {
  await using world = await openWorld();
  const keyFile = await enrolled(world);
  const request = requestOf();
  custodianOf(world, { requests: { requests: [request] }, 'questions/me': ME });
  const approve = () => world.keyward('keys', 'approve', request.id, '--key-file', keyFile);
  chmodSync(keyFile, 0o640);
  assert.match((await approve()).err, /^error: CLI_APPROVER_KEY /);
  const { privateKey } = generateKeyPairSync('x25519');
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  chmodSync(keyFile, 0o600);
  assert.match((await approve()).err, /^error: CLI_APPROVER_KEY /);
});

test('[K5] the last approval of an act that fails ends with its code', async () => {
  await using world = await openWorld();
  const keyFile = await enrolled(world);
  const request = requestOf();
  const failed = { ...request, state: 'failed', result: { code: 'KEYS_HELD' } };
  custodianOf(world, {
    requests: { requests: [request] },
    [`requests/${request.id}/approve`]: failed,
    'questions/me': ME,
  });
  const { status, err } = await world.keyward('keys', 'approve', request.id, '--key-file', keyFile);
  assert.equal(status, 1);
  assert.match(err, /^error: KEYS_HELD /);
});

test('[K11] shred takes the id of a Patient, and asks the gateway for its scope', async () => {
  await using world = await openWorld();
  const scope = newUuid();
  const calls = custodianOf(world, {
    'acts/shred': { request: requestOf({ act: 'shred', params: { patient: scope } }) },
  });
  const asked: string[] = [];
  world.fhir = ({ method, path }) => {
    asked.push(`${method} ${path}`);
    return { body: { resourceType: 'Parameters', parameter: [{ name: 'scope', valueUuid: `urn:uuid:${scope}` }] } };
  };
  const { status, out } = await world.keyward('keys', 'shred', 'p-1', '--reason', 'request 77');
  assert.equal(status, 0);
  assert.match(out, /^waits for approvals: keyward keys approve /);
  assert.deepEqual(asked, ['POST /fhir/Patient/p-1/$keyward-scope']);
  assert.deepEqual(calls[0]?.body, { params: { patient: scope }, reason: 'request 77' });
  await world.keyward('keys', 'shred', `subject/${scope}`, '--reason', 'request 77');
  assert.equal(asked.length, 1);
});

test('[S1] keys --wait gives a prompt back on Ctrl-C, and the job goes on', { timeout: 60_000 }, async () => {
  await using world = await openWorld();
  const job = { id: newUuid(), kind: 'rewrap', state: 'running', done: 1, total: 9, code: null };
  world.keys = ({ path }) => {
    if (path === 'acts/rewrap') return { result: { job: job.id } };
    setImmediate(() => world.interrupt());
    return { jobs: [job] };
  };
  const { status } = await world.keyward('keys', 'rewrap', '--reason', 'x', '--wait');
  assert.equal(status, 130);
});

test('[K7] usage is a table of processes and purposes', async () => {
  await using world = await openWorld();
  custodianOf(world, { 'questions/show': { versions: [{ id: 'ab'.repeat(16) }] } });
  const at = new Date('2026-01-02T03:04:05Z');
  const use = { process: 'gateway', purpose: 'TREAT', interaction: 'keys.process', decision: 'permit' };
  world.uses = { uses: [{ ...use, count: 12, people: 3, first: at, last: at }], unreadable: 0 };
  const { out } = await world.keyward('keys', 'usage', 'tenant', '--days', '7');
  assert.match(out, /^gateway +TREAT +keys\.process +12 +3 +2026-01-02 03:04$/m);
});

for (const days of ['0', '31', '365', 'x']) {
  test(`[K1] accept-risk --days ${days} is refused before anything is sent`, async () => {
    await using world = await openWorld();
    world.keys = () => assert.fail('sent');
    const { status, err } = await world.keyward('keys', 'accept-risk', 'kek/1', '--days', days, '--reason', 'x');
    assert.equal(status, 2);
    assert.match(err, /^error: CLI_USAGE .*whole number from 1 to 30/);
  });
}

test('[S1] lists that are lists themselves are tables too', async () => {
  await using world = await openWorld();
  const [id, publicKey] = [newUuid(), 'ab'.repeat(32)];
  const at = '2026-01-02T03:04:05.678Z';
  const target = 'kek/1';
  custodianOf(world, {
    'questions/holds': [{ id, target, placedBy: 'https://i.example ann', reason: 'case 9' }],
    'questions/destructions': [{ id, target, state: 'waiting', dueAt: at }],
    'questions/signing-keys': [{ keyId: 'ff'.repeat(16), publicKey, createdAt: at }],
  });
  const rows = {
    holds: `${id}  kek/1 +ann +case 9`,
    destructions: `${id}  kek/1 +waiting +2026-01-02`,
    'signing-keys': `2026-01-02  ${publicKey}`,
  };
  for (const [name, row] of Object.entries(rows)) {
    const { status, out } = await world.keyward('keys', name);
    assert.equal(status, 0);
    assert.match(out, new RegExp(`^${row}$`, 'm'));
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
  }
  custodianOf(world, { 'questions/holds': [] });
  assert.equal((await world.keyward('keys', 'holds')).out, 'none\n');
});

/** RFC 8032, section 7.1, test 1. */
const SIGNER = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
const SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';

/** What a custodian tells backups, under the same signature as a certificate. */
const STATEMENT = {
  type: 'keyward/destroyed-keys/1',
  destruction: '5a4c8e6e-6f0a-4a3c-9f39-0d7e2f4b1c11',
  installation: 'b3f1c2ad-2f6e-4a84-8a6d-1b7b1e5f9d22',
  tenant: 'default',
  target: 'subject/0c9a1f7e-8b5d-4a53-9d4f-3f6f2f1f7a33',
  keys: [{ id: 'ab'.repeat(16), kind: 'subject', scope: '0c9a1f7e-8b5d-4a53-9d4f-3f6f2f1f7a33', kekVersion: 1 }],
  destroyedAt: '2030-01-08T00:00:00.000Z',
};

function certificate() {
  const der = Buffer.from(`302e020100300506032b657004220420${SEED}`, 'hex');
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const value = sign(null, Buffer.from(`keyward/certificate/1\n${canonicalJson(STATEMENT)}`), key).toString(
    'base64url',
  );
  return { statement: STATEMENT, signature: { algorithm: 'Ed25519', keyId: 'ff'.repeat(16), value } };
}

const CERTIFICATE = certificate();

test('[K7] verify-certificate needs nothing that runs when it is given the key, in hex or as PEM', async () => {
  await using world = await openWorld({ running: false });
  const [file, pem] = [join(world.directory, 'certificate.json'), join(world.directory, 'signer.pem')];
  writeFileSync(file, JSON.stringify(CERTIFICATE, null, 2));
  const x = Buffer.from(SIGNER, 'hex').toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  writeFileSync(pem, publicKey.export({ type: 'spki', format: 'pem' }));
  for (const key of [SIGNER, pem]) {
    const { status, out, err } = await world.keyward('keys', 'verify-certificate', file, '--key', key);
    assert.equal(status, 0, err);
    assert.match(out, /^verified\n[^]*^target +subject\/0c9a1f7e-/m);
  }
  writeFileSync(pem, 'no key');
  assert.equal((await world.keyward('keys', 'verify-certificate', file, '--key', pem)).status, 2);
});

test('[K7] verify-certificate ends with 1 where a certificate is altered, or signed by another key', async () => {
  await using world = await openWorld({ running: false });
  const file = join(world.directory, 'certificate.json');
  const { statement, signature } = CERTIFICATE;
  const cases: readonly (readonly [string, string])[] = [
    [JSON.stringify({ statement: { ...statement, target: 'kek/1' }, signature }), SIGNER],
    [JSON.stringify(CERTIFICATE), '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'],
    ['{', SIGNER],
  ];
  for (const [text, key] of cases) {
    writeFileSync(file, text);
    const { status, out, err } = await world.keyward('keys', 'verify-certificate', file, '--key', key);
    assert.deepEqual([status, out], [1, '']);
    assert.match(err, /^error: CLI_CERTIFICATE The certificate does not verify/);
  }
});

test('[K7] verify-certificate without a key asks the instance for the one that is named', async () => {
  await using world = await openWorld();
  const file = join(world.directory, 'certificate.json');
  writeFileSync(file, JSON.stringify(CERTIFICATE));
  custodianOf(world, { 'questions/signing-keys': [{ keyId: 'ff'.repeat(16), publicKey: SIGNER }] });
  assert.equal((await world.keyward('keys', 'verify-certificate', file)).status, 0);
  custodianOf(world, { 'questions/signing-keys': [{ keyId: '00'.repeat(16), publicKey: SIGNER }] });
  assert.equal((await world.keyward('keys', 'verify-certificate', file)).status, 1);
});
