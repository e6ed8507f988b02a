/** The AWS KMS root on moto: the conformance of all roots, and what is special about KMS. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test, type TestContext } from 'node:test';
import { KMSClient, type KMSClientConfig, CreateKeyCommand, type CreateKeyCommandInput } from '@aws-sdk/client-kms';
import * as kms from '@aws-sdk/client-kms';
import { testLog } from '../../testing.ts';
import { startDoor } from '../cloud/testing.ts';
import { testRootConformance } from '../conformance.ts';
import { RESILIENCE } from '../resilience.ts';
import { resilient } from '../resilient.ts';
import type { Root, RootDescription } from '../root.ts';
import { startLine } from '../testing.ts';
import { awsKmsRoot } from './aws.ts';
import { installMoto, type Moto, startMoto } from './testing.ts';

const REGION = 'eu-central-1';
const AAD = Buffer.from('tenant-a/1');
const CREDENTIALS = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: randomBytes(30).toString('base64') };

const installation = installMoto();
const skip = 'missing' in installation ? installation.missing : false;
let moto: Moto;

before(async () => {
  if (!('missing' in installation)) moto = await startMoto(installation.python);
});
after(async () => moto?.stop());

const settings = (port: number): KMSClientConfig => ({
  endpoint: `http://127.0.0.1:${port}`,
  credentials: CREDENTIALS,
});

const administrator = (region = REGION) => new KMSClient({ ...settings(moto.port), region });

async function createKey(input: CreateKeyCommandInput = {}, region = REGION): Promise<string> {
  const command = new CreateKeyCommand({ KeyUsage: 'ENCRYPT_DECRYPT', ...input });
  const { KeyMetadata } = await administrator(region).send(command);
  return KeyMetadata?.Arn as string;
}

/** What changes the state of a key, moto finds by its id only. */
const idOf = (arn: string): string => arn.split('/')[1] as string;

const openAt = (port: number, key: string): Promise<Root> =>
  awsKmsRoot.open({ provider: 'aws-kms', key }, undefined, settings(port));

testRootConformance('aws-kms', {
  skip: skip || undefined,
  async open(context) {
    const key = await createKey();
    const line = await startLine(moto.port);
    context.after(() => line.close());
    const root = await openAt(line.port, key);
    context.after(() => root.close());
    return {
      root,
      reopen: () => openAt(line.port, key),
      expected: { provider: 'aws-kms', hardware: true, exportable: false, region: REGION },
      credentials: [CREDENTIALS.secretAccessKey],
      line,
      key: {
        disable: async () => void (await administrator().send(new kms.DisableKeyCommand({ KeyId: idOf(key) }))),
        enable: async () => void (await administrator().send(new kms.EnableKeyCommand({ KeyId: idOf(key) }))),
      },
    };
  },
});

const kmsTest = (name: string, body: (context: TestContext) => Promise<void>) => void test(name, { skip }, body);

/** A root behind a door that can answer in place of moto. */
async function behindDoor(context: TestContext) {
  const [key, door] = [await createKey(), await startDoor(moto.port)];
  context.after(() => door.close());
  const root = await openAt(door.port, key);
  context.after(() => root.close());
  return { key, door, root };
}

const UNFIT: Readonly<Record<string, CreateKeyCommandInput>> = {
  asymmetric: { KeySpec: 'RSA_3072', KeyUsage: 'ENCRYPT_DECRYPT' },
  'for signatures': { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
  'for HMACs': { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' },
};

for (const [what, input] of Object.entries(UNFIT))
  kmsTest(`[K9] aws-kms: a key that is ${what} is refused when it is opened`, async () => {
    await assert.rejects(openAt(moto.port, await createKey(input)), { code: 'KEYS_ROOT_UNUSABLE' });
  });

kmsTest('[K9] aws-kms: a key that waits for its deletion neither wraps nor unwraps, and is not opened', async () => {
  const key = await createKey();
  const root = await openAt(moto.port, key);
  const wrapped = await root.wrap(randomBytes(32), AAD);
  await administrator().send(new kms.ScheduleKeyDeletionCommand({ KeyId: idOf(key), PendingWindowInDays: 7 }));
  const refused = { code: 'KEYS_ROOT_REFUSED', detail: 'The KMS key is not enabled: PendingDeletion.' };
  await assert.rejects(root.wrap(randomBytes(32), AAD), refused);
  await assert.rejects(root.unwrap(wrapped, AAD), refused);
  await assert.rejects(openAt(moto.port, key), refused);
});

kmsTest('[K9] aws-kms: a key that is not there, or only in another region, is refused', async () => {
  const elsewhere = await createKey({}, 'us-east-1');
  for (const key of [
    elsewhere.replace('us-east-1', REGION),
    `arn:aws:kms:${REGION}:123456789012:key/${crypto.randomUUID()}`,
  ])
    await assert.rejects(openAt(moto.port, key), { code: 'KEYS_ROOT_REFUSED' });
});

kmsTest('[K9] aws-kms: a replica of a multi-Region key is the same root key in another region', async () => {
  const key = await createKey({ MultiRegion: true });
  await administrator().send(new kms.ReplicateKeyCommand({ KeyId: idOf(key), ReplicaRegion: 'us-east-1' }));
  const first = (await openAt(moto.port, key)).describe();
  const replica = (await openAt(moto.port, key.replace(REGION, 'us-east-1'))).describe();
  assert.equal(replica.key, first.key);
  assert.deepEqual([first.region, replica.region], [REGION, 'us-east-1']);
});

const ORIGINS: Readonly<Record<string, Partial<RootDescription>>> = {
  AWS_KMS: { hardware: true, exportable: false },
  AWS_CLOUDHSM: { hardware: true, exportable: false },
  EXTERNAL: { hardware: true, exportable: true },
  EXTERNAL_KEY_STORE: { hardware: false, exportable: true },
  NOT_KNOWN_TO_US: { hardware: false, exportable: true },
};

kmsTest('[K9] aws-kms: where the key material came from decides what is told of it', async (context) => {
  const { key, door } = await behindDoor(context);
  const fit = {
    Arn: key,
    KeySpec: 'SYMMETRIC_DEFAULT',
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyManager: 'CUSTOMER',
    KeyState: 'Enabled',
  };
  for (const [Origin, { hardware, exportable }] of Object.entries(ORIGINS)) {
    door.answer(() => ({ status: 200, body: { KeyMetadata: { ...fit, Origin } } }));
    const told = (await openAt(door.port, key)).describe();
    assert.deepEqual([told.hardware, told.exportable], [hardware, exportable], Origin);
  }
  for (const odd of [{ Arn: `${key}0` }, { KeyManager: 'AWS' }, { KeyState: 'Unavailable' }, { KeyState: undefined }]) {
    door.answer(() => ({ status: 200, body: { KeyMetadata: { ...fit, ...odd } } }));
    await assert.rejects(openAt(door.port, key), /KEYS_ROOT_(WRONG_ANSWER|UNUSABLE|REFUSED)/);
  }
});

kmsTest('[K3] aws-kms: what CloudTrail shows of a use is a digest, and the key is always named', async (context) => {
  const { key, door, root } = await behindDoor(context);
  const seen: { target: string; body: string }[] = [];
  door.answer((target, body) => void seen.push({ target, body }));
  await root.unwrap(await root.wrap(randomBytes(32), AAD), AAD);
  const uses = seen.filter(({ target }) => /\.(Encrypt|Decrypt)$/.test(target));
  assert.equal(uses.length, 2);
  for (const { body } of uses) {
    const { KeyId, EncryptionContext } = JSON.parse(body) as {
      KeyId: string;
      EncryptionContext: Record<string, string>;
    };
    assert.equal(KeyId, key);
    assert.match(EncryptionContext['keyward-context'] ?? '', /^[A-Za-z0-9+/]{43}=$/);
    assert.equal(body.includes('tenant-a'), false);
  }
});

kmsTest('[K9] aws-kms: an answer by another key, or without a result, is refused', async (context) => {
  const { key, door, root } = await behindDoor(context);
  const wrapped = await root.wrap(randomBytes(32), AAD);
  const Plaintext = randomBytes(32).toString('base64');
  const answers = [{ KeyId: `${key.slice(0, -1)}0`, Plaintext }, { Plaintext }, { KeyId: key }];
  for (const body of answers) {
    door.answer((target) => (target.endsWith('.Decrypt') ? { status: 200, body } : undefined));
    await assert.rejects(root.unwrap(wrapped, AAD), { code: 'KEYS_ROOT_WRONG_ANSWER' });
  }
  door.answer((target) => (target.endsWith('.Decrypt') ? { status: 200, body: { KeyId: key, Plaintext } } : undefined));
  await assert.rejects(root.unwrap(wrapped, AAD), { code: 'KEYS_NOT_AUTHENTIC' });
});

kmsTest('[K9] aws-kms: a blob of another key under our label is refused by KMS, checksum and all', async () => {
  const [ours, other] = [await createKey(), await createKey()];
  const root = await openAt(moto.port, ours);
  const wrapped = await root.wrap(randomBytes(32), AAD);
  const foreign = await administrator().send(new kms.EncryptCommand({ KeyId: other, Plaintext: randomBytes(32) }));
  await assert.rejects(root.unwrap(withBlob(wrapped, Buffer.from(foreign.CiphertextBlob as Uint8Array)), AAD), /KEYS_/);
  const altered = blobOf(wrapped);
  altered[altered.length - 1]! ^= 1;
  await assert.rejects(root.unwrap(withBlob(wrapped, altered), AAD), { code: 'KEYS_NOT_AUTHENTIC' });
});

const CHECKSUM_BYTES = 8;

/** Where the length of provider, root key and encrypted wrapping key stand (`envelope.ts`). */
function blobAt(wrapped: Buffer): { start: number; end: number } {
  const keyAt = 5 + wrapped.readUInt8(4);
  const start = keyAt + 2 + wrapped.readUInt16BE(keyAt) + 2;
  return { start, end: start + wrapped.readUInt16BE(start - 2) };
}

function blobOf(wrapped: Buffer): Buffer {
  const { start, end } = blobAt(wrapped);
  return Buffer.from(wrapped.subarray(start, end - CHECKSUM_BYTES));
}

/** As somebody who can write to the database would put it together. */
function withBlob(wrapped: Buffer, blob: Buffer): Buffer {
  const { start, end } = blobAt(wrapped);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(blob.length + CHECKSUM_BYTES);
  const checksum = createHash('sha256').update(blob).digest().subarray(0, CHECKSUM_BYTES);
  return Buffer.concat([wrapped.subarray(0, start - 2), length, blob, checksum, wrapped.subarray(end)]);
}

interface Fault {
  readonly type: string;
  readonly status: number;
  readonly code: string;
}

// biome-ignore format: a table
const FAULTS: readonly Fault[] = [
  { type: 'AccessDeniedException',       status: 400, code: 'KEYS_ROOT_REFUSED' },
  { type: 'DisabledException',           status: 400, code: 'KEYS_ROOT_REFUSED' },
  { type: 'KMSInvalidStateException',    status: 400, code: 'KEYS_ROOT_REFUSED' },
  { type: 'UnrecognizedClientException', status: 400, code: 'KEYS_ROOT_REFUSED' },
  { type: 'IncorrectKeyException',       status: 400, code: 'KEYS_ROOT_MISMATCH' },
  { type: 'InvalidCiphertextException',  status: 400, code: 'KEYS_NOT_AUTHENTIC' },
  { type: 'ThrottlingException',         status: 400, code: 'KEYS_ROOT_UNAVAILABLE' },
  { type: 'KMSInternalException',        status: 500, code: 'KEYS_ROOT_UNAVAILABLE' },
  { type: 'KeyUnavailableException',     status: 500, code: 'KEYS_ROOT_UNAVAILABLE' },
  { type: 'NotKnownToUs',                status: 503, code: 'KEYS_ROOT_UNAVAILABLE' },
  { type: 'NotKnownToUs',                status: 400, code: 'KEYS_ROOT_REFUSED' },
];

kmsTest(
  '[K9] aws-kms: each refusal of KMS is told from an outage, by its name and without its text',
  async (context) => {
    const { door, root } = await behindDoor(context);
    const wrapped = await root.wrap(randomBytes(32), AAD);
    for (const { type, status, code } of FAULTS) {
      const body = { __type: type, message: 'User: arn:aws:iam::1:user/somebody' };
      door.answer((target) => (target.endsWith('.Decrypt') ? { status, body } : undefined));
      await assert.rejects(root.unwrap(wrapped, AAD), (error: Error) => {
        assert.equal(error.message, `${code}: AWS KMS: ${type}.`);
        return !String((error.cause as Error).stack).includes('somebody');
      });
    }
  },
);

kmsTest('[K9] aws-kms: what KMS throttles is tried again after a pause', async (context) => {
  const { door, root } = await behindDoor(context);
  const guarded = resilient(root, { log: testLog() }, { ...RESILIENCE, firstPauseMs: 1 });
  let throttled = 0;
  door.answer((target) => {
    if (!target.endsWith('.Encrypt') || throttled === 2) return undefined;
    throttled += 1;
    return { status: 400, body: { __type: 'ThrottlingException' } };
  });
  const plaintext = randomBytes(32);
  assert.deepEqual(await guarded.unwrap(await guarded.wrap(plaintext, AAD), AAD), plaintext);
  assert.equal(throttled, 2);
});

test('[K9] aws-kms: an endpoint in clear on another machine is never spoken to', async () => {
  const key = `arn:aws:kms:${REGION}:123456789012:key/${crypto.randomUUID()}`;
  const clear = { endpoint: 'http://kms.example.org', credentials: CREDENTIALS };
  const opening = awsKmsRoot.open({ provider: 'aws-kms', key }, undefined, clear);
  await assert.rejects(opening, { code: 'KEYS_ROOT_UNUSABLE' });
});
