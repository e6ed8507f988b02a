/**
 * A FAKE of Google Cloud KMS for tests: four calls of its gRPC API, on the .proto files that come with Google's client, with real
 * cryptography and keys in memory. It is no Google Cloud, and nothing of the product uses it.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { crc32c } from './crc32c.ts';

export type FakeState = 'ENABLED' | 'DISABLED' | 'DESTROY_SCHEDULED' | 'DESTROYED';

export interface FakeVersion {
  readonly secret: Buffer;
  state: FakeState;
  protectionLevel: string;
  importJob: string;
}

export interface FakeCloudKey {
  readonly name: string;
  purpose: string;
  /** The last one is the primary. */
  readonly versions: FakeVersion[];
}

/** What an answer becomes before it is sent. */
export type Spoil = (call: string, answer: Record<string, unknown>) => Record<string, unknown>;

export interface FakeCloudKms {
  readonly port: number;
  create(version?: Partial<FakeVersion>): FakeCloudKey;
  addVersion(key: FakeCloudKey): void;
  /** Codes that the next calls of a name are answered with. */
  readonly refusals: { readonly call: string; readonly code: number }[];
  spoil(how: Spoil): void;
  close(): Promise<void>;
}

type Request = Readonly<Record<string, never>> & {
  readonly name: string;
  readonly plaintext: Buffer;
  readonly ciphertext: Buffer;
  readonly additionalAuthenticatedData: Buffer;
  readonly plaintextCrc32c: { readonly value: string } | null;
  readonly ciphertextCrc32c: { readonly value: string } | null;
  readonly additionalAuthenticatedDataCrc32c: { readonly value: string } | null;
};

class Refusal extends Error {
  readonly code: number;
  constructor(code: number) {
    super('said to somebody');
    this.code = code;
  }
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

export async function startFakeCloudKms(): Promise<FakeCloudKms> {
  const keys = new Map<string, FakeCloudKey>();
  const refusals: { call: string; code: number }[] = [];
  let spoil: Spoil = (_call, answer) => answer;

  const keyOf = (name: string) => keys.get(name.split('/cryptoKeyVersions/')[0] as string) ?? refuse(status.NOT_FOUND);
  const versionOf = (name: string) =>
    keyOf(name).versions[Number(name.split('/cryptoKeyVersions/')[1]) - 1] ?? refuse(status.NOT_FOUND);
  const CALLS: Readonly<Record<string, (request: Request) => Record<string, unknown>>> = {
    GetCryptoKey({ name }) {
      const key = keyOf(name);
      const primary = described(key, key.versions.length);
      return { name: key.name, purpose: key.purpose, ...(key.versions.length > 0 ? { primary } : {}) };
    },
    GetCryptoKeyVersion({ name }) {
      versionOf(name);
      return described(keyOf(name), Number(name.split('/cryptoKeyVersions/')[1]));
    },
    Encrypt(request) {
      const version = usable(versionOf(request.name));
      verify(request.plaintext, request.plaintextCrc32c);
      verify(request.additionalAuthenticatedData, request.additionalAuthenticatedDataCrc32c);
      const ciphertext = seal(version.secret, request.plaintext, request.additionalAuthenticatedData);
      const confirmed = { verifiedPlaintextCrc32c: true, verifiedAdditionalAuthenticatedDataCrc32c: true };
      return { name: request.name, ciphertext, ciphertextCrc32c: { value: crc32c(ciphertext) }, ...confirmed };
    },
    Decrypt(request) {
      verify(request.ciphertext, request.ciphertextCrc32c);
      verify(request.additionalAuthenticatedData, request.additionalAuthenticatedDataCrc32c);
      const plaintext = openWithAny(keyOf(request.name), request.ciphertext, request.additionalAuthenticatedData);
      return { plaintext, plaintextCrc32c: { value: crc32c(plaintext) } };
    },
  };

  const handler =
    (call: string): handleUnaryCall<Request, Record<string, unknown>> =>
    ({ request }, answer) => {
      try {
        const at = refusals.findIndex((each) => each.call === call);
        if (at >= 0) refuse(refusals.splice(at, 1)[0]?.code as number);
        answer(null, spoil(call, (CALLS[call] as (request: Request) => Record<string, unknown>)(request)));
      } catch (thrown) {
        answer(thrown as Refusal);
      }
    };
  const server = new Server();
  server.addService(
    serviceDefinition(),
    Object.fromEntries(Object.keys(CALLS).map((call) => [call, handler(call)])) as UntypedServiceImplementation,
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    create(version = {}) {
      const name = `projects/clinic/locations/europe-west3/keyRings/keyward/cryptoKeys/${randomBytes(8).toString('hex')}`;
      const key = { name, purpose: 'ENCRYPT_DECRYPT', versions: [newVersion(version)] };
      keys.set(name, key);
      return key;
    },
    addVersion: (key) => void key.versions.push(newVersion({})),
    refusals,
    spoil: (how) => void (spoil = how),
    close: async () => server.forceShutdown(),
  };
}

function serviceDefinition() {
  const require = createRequire(import.meta.url);
  const protos = join(dirname(require.resolve('@google-cloud/kms/package.json')), 'build/protos');
  const common = join(dirname(require.resolve('google-gax')), '../protos');
  const options = { longs: String, enums: String, defaults: true, includeDirs: [protos, common] };
  const loaded = loadPackageDefinition(loadSync('google/cloud/kms/v1/service.proto', options));
  const { google } = loaded as unknown as {
    google: { cloud: { kms: { v1: { KeyManagementService: { service: never } } } } };
  };
  return google.cloud.kms.v1.KeyManagementService.service;
}

const newVersion = (version: Partial<FakeVersion>): FakeVersion => ({
  secret: randomBytes(32),
  state: 'ENABLED',
  protectionLevel: 'HSM',
  importJob: '',
  ...version,
});

function described({ name, versions }: FakeCloudKey, number: number): Record<string, unknown> {
  const { secret: _secret, ...told } = versions[number - 1] ?? newVersion({});
  return { name: `${name}/cryptoKeyVersions/${number}`, ...told };
}

function refuse(code: number): never {
  throw new Refusal(code);
}

const usable = (version: FakeVersion): FakeVersion =>
  version.state === 'ENABLED' ? version : refuse(status.FAILED_PRECONDITION);

function verify(bytes: Buffer, checksum: { readonly value: string } | null): void {
  if (checksum && Number(checksum.value) !== crc32c(bytes)) refuse(status.INVALID_ARGUMENT);
}

function seal(secret: Buffer, plaintext: Buffer, aad: Buffer): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(aad);
  return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The server finds the version by the ciphertext. */
function openWithAny({ versions }: FakeCloudKey, ciphertext: Buffer, aad: Buffer): Buffer {
  for (const version of versions) {
    try {
      const opened = open(version.secret, ciphertext, aad);
      usable(version);
      return opened;
    } catch (thrown) {
      if (thrown instanceof Refusal) throw thrown;
    }
  }
  return refuse(status.INVALID_ARGUMENT);
}

function open(secret: Buffer, ciphertext: Buffer, aad: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', secret, ciphertext.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(aad).setAuthTag(ciphertext.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(ciphertext.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
}
