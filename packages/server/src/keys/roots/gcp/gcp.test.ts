/** The Google Cloud KMS root on a fake of it: the conformance of all roots, and what is special about this one. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test, type TestContext } from 'node:test';
import { credentials, status } from '@grpc/grpc-js';
import { testLog } from '../../testing.ts';
import { testRootConformance } from '../conformance.ts';
import { RESILIENCE } from '../resilience.ts';
import { resilient } from '../resilient.ts';
import type { Root } from '../root.ts';
import { startLine } from '../testing.ts';
import { type FakeCloudKey, type FakeCloudKms, startFakeCloudKms } from './fake-cloud-kms.ts';
import { gcpKmsRoot } from './gcp.ts';

const AAD = Buffer.from('tenant-a/1');
const SERVICE_ACCOUNT = {
  type: 'service_account',
  client_email: 'custodian@clinic.example.org',
  private_key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
};

let kms: FakeCloudKms;
/** For all tests that change nothing of its key: Google's client takes its time to be made. */
let shared: Root;
const folder = mkdtempSync(join(tmpdir(), 'keyward-gcp-'));

before(async () => {
  // Where Google's own chain looks first for credentials.
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = join(folder, 'account.json');
  writeFileSync(process.env['GOOGLE_APPLICATION_CREDENTIALS'], JSON.stringify(SERVICE_ACCOUNT), { mode: 0o600 });
  kms = await startFakeCloudKms();
  shared = await openAt(kms.port, kms.create());
});
beforeEach(() => kms.spoil((_call, answer) => answer));
after(async () => {
  await shared.close();
  await kms.close();
  rmSync(folder, { recursive: true });
});

/** Reconnects as soon as the line is back; a test does not wait a second for it. */
const seams = (port: number) => ({
  apiEndpoint: '127.0.0.1',
  port,
  sslCreds: credentials.createInsecure(),
  'grpc.initial_reconnect_backoff_ms': 50,
});

const openAt = (port: number, { name }: FakeCloudKey): Promise<Root> =>
  gcpKmsRoot.open({ provider: 'gcp-kms', key: name }, undefined, seams(port));

async function opened(context: TestContext, key: FakeCloudKey): Promise<Root> {
  const root = await openAt(kms.port, key);
  context.after(() => root.close());
  return root;
}

testRootConformance('gcp-kms', {
  async open(context) {
    const line = await startLine(kms.port);
    const key = kms.create();
    const root = await openAt(line.port, key);
    const roots = [root];
    context.after(async () => {
      await Promise.all(roots.map((each) => each.close()));
      await line.close();
    });
    const setState = (state: 'ENABLED' | 'DISABLED') => async () => void (key.versions[0]!.state = state);
    return {
      root,
      reopen: async () => roots[roots.push(await openAt(line.port, key)) - 1] as Root,
      expected: { provider: 'gcp-kms', hardware: true, exportable: false, region: 'europe-west3' },
      credentials: [SERVICE_ACCOUNT.private_key.split('\n')[1] as string],
      line,
      key: { disable: setState('DISABLED'), enable: setState('ENABLED') },
    };
  },
});

test('[K9] gcp-kms: the version that wrapped unwraps, also when another one is primary', async (context) => {
  const key = kms.create();
  const root = await opened(context, key);
  const plaintext = randomBytes(32);
  const older = await root.wrap(plaintext, AAD);
  kms.addVersion(key);
  const newer = await root.wrap(plaintext, AAD);
  for (const wrapped of [older, newer]) assert.deepEqual(await root.unwrap(wrapped, AAD), plaintext);
  key.versions[0]!.state = 'DESTROY_SCHEDULED';
  await assert.rejects(root.unwrap(older, AAD), { code: 'KEYS_ROOT_REFUSED', detail: /DESTROY_SCHEDULED/ });
  assert.deepEqual(await root.unwrap(newer, AAD), plaintext);
});

test('[K9] gcp-kms: a key for something else, without a primary version or with a disabled one is not opened', async () => {
  const [signing, empty, disabled] = [kms.create(), kms.create(), kms.create({ state: 'DISABLED' })];
  signing.purpose = 'ASYMMETRIC_SIGN';
  empty.versions.pop();
  await assert.rejects(openAt(kms.port, signing), { code: 'KEYS_ROOT_UNUSABLE' });
  await assert.rejects(openAt(kms.port, empty), { code: 'KEYS_ROOT_UNUSABLE' });
  await assert.rejects(openAt(kms.port, disabled), { code: 'KEYS_ROOT_REFUSED' });
});

test('[K9] gcp-kms: the protection level and imported material are told', async (context) => {
  const toldOf = async (version: object) => (await opened(context, kms.create(version))).describe();
  assert.equal((await toldOf({ protectionLevel: 'HSM_SINGLE_TENANT' })).hardware, true);
  for (const protectionLevel of ['SOFTWARE', 'EXTERNAL', 'EXTERNAL_VPC'])
    assert.equal((await toldOf({ protectionLevel })).hardware, false, protectionLevel);
  assert.equal((await toldOf({ importJob: 'projects/clinic/importJobs/1' })).exportable, true);
});

interface Spoilt {
  readonly what: string;
  readonly call: string;
  readonly with: Record<string, unknown>;
  readonly code: string;
}

// biome-ignore format: a table
const SPOILT: readonly Spoilt[] = [
  { what: 'a checksum of another ciphertext',    call: 'Encrypt', with: { ciphertextCrc32c: { value: 1 } },                      code: 'KEYS_ROOT_UNAVAILABLE' },
  { what: 'no checksum of the ciphertext',       call: 'Encrypt', with: { ciphertextCrc32c: null },                              code: 'KEYS_ROOT_UNAVAILABLE' },
  { what: 'the plaintext not confirmed',         call: 'Encrypt', with: { verifiedPlaintextCrc32c: false },                      code: 'KEYS_ROOT_UNAVAILABLE' },
  { what: 'the associated data not confirmed',   call: 'Encrypt', with: { verifiedAdditionalAuthenticatedDataCrc32c: false },    code: 'KEYS_ROOT_UNAVAILABLE' },
  { what: 'the name of another key',             call: 'Encrypt', with: { name: 'projects/other' },                              code: 'KEYS_ROOT_WRONG_ANSWER' },
  { what: 'a checksum of another plaintext',     call: 'Decrypt', with: { plaintextCrc32c: { value: 1 } },                       code: 'KEYS_ROOT_UNAVAILABLE' },
  { what: 'a plaintext cut off',                 call: 'Decrypt', with: { plaintext: Buffer.alloc(31) },                         code: 'KEYS_ROOT_UNAVAILABLE' },
  { what: 'another plaintext, with its checksum', call: 'Decrypt', with: { plaintext: Buffer.alloc(32), plaintextCrc32c: { value: 0x8a9136aa } }, code: 'KEYS_NOT_AUTHENTIC' },
  { what: 'another key described',               call: 'GetCryptoKey', with: { name: 'projects/other' },                         code: 'KEYS_ROOT_WRONG_ANSWER' },
  { what: 'another version described',           call: 'GetCryptoKeyVersion', with: { name: 'projects/other' },                  code: 'KEYS_ROOT_WRONG_ANSWER' },
];

for (const { what, call, with: changes, code } of SPOILT)
  test(`[K9] gcp-kms: ${call} answered with ${what} is refused`, async () => {
    const wrapped = await shared.wrap(randomBytes(32), AAD);
    kms.spoil((name, answer) => (name === call ? { ...answer, ...changes } : answer));
    const isWrap = call === 'Encrypt' || call === 'GetCryptoKey';
    await assert.rejects(isWrap ? shared.wrap(randomBytes(32), AAD) : shared.unwrap(wrapped, AAD), { code });
  });

test('[K9] gcp-kms: an answer damaged once is asked for again', async () => {
  const guarded = resilient(shared, { log: testLog() }, { ...RESILIENCE, firstPauseMs: 1 });
  let spoilt = 0;
  kms.spoil((call, answer) =>
    call === 'Encrypt' && (spoilt += 1) === 1 ? { ...answer, ciphertextCrc32c: { value: 1 } } : answer,
  );
  const plaintext = randomBytes(32);
  assert.deepEqual(await guarded.unwrap(await guarded.wrap(plaintext, AAD), AAD), plaintext);
  assert.equal(spoilt, 2);
});

interface Fault {
  readonly name: keyof typeof status;
  readonly code: string;
}

// biome-ignore format: a table
const FAULTS: readonly Fault[] = [
  { name: 'PERMISSION_DENIED',   code: 'KEYS_ROOT_REFUSED' },
  { name: 'NOT_FOUND',           code: 'KEYS_ROOT_REFUSED' },
  { name: 'FAILED_PRECONDITION', code: 'KEYS_ROOT_REFUSED' },
  { name: 'UNAUTHENTICATED',     code: 'KEYS_ROOT_REFUSED' },
  { name: 'INVALID_ARGUMENT',    code: 'KEYS_NOT_AUTHENTIC' },
  { name: 'RESOURCE_EXHAUSTED',  code: 'KEYS_ROOT_UNAVAILABLE' },
  { name: 'UNAVAILABLE',         code: 'KEYS_ROOT_UNAVAILABLE' },
  { name: 'INTERNAL',            code: 'KEYS_ROOT_UNAVAILABLE' },
];

test('[K9] gcp-kms: each refusal of Cloud KMS is told from an outage, by its name and without its text', async () => {
  const wrapped = await shared.wrap(randomBytes(32), AAD);
  for (const { name, code } of FAULTS) {
    kms.refusals.push({ call: 'Decrypt', code: status[name] });
    await assert.rejects(shared.unwrap(wrapped, AAD), (error: Error) => {
      assert.equal(error.message, `${code}: Cloud KMS: ${name}.`);
      return !String((error.cause as Error).stack).includes('somebody');
    });
  }
});

test('[K9] gcp-kms: what is throttled is tried again after a pause', async () => {
  const guarded = resilient(shared, { log: testLog() }, { ...RESILIENCE, firstPauseMs: 1 });
  for (let times = 0; times < 2; times += 1) kms.refusals.push({ call: 'Encrypt', code: status.RESOURCE_EXHAUSTED });
  assert.ok((await guarded.wrap(randomBytes(32), AAD)).length > 0);
  assert.equal(kms.refusals.length, 0);
});

test('[K9] gcp-kms: a key that is not there is refused', async () => {
  const key = { ...kms.create(), name: 'projects/clinic/locations/europe-west3/keyRings/keyward/cryptoKeys/none' };
  await assert.rejects(openAt(kms.port, key), { code: 'KEYS_ROOT_REFUSED' });
});
