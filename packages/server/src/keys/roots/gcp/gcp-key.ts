/** One key of Cloud KMS: what is asked of it, with checksums both ways, and what its refusals mean. */
import type { KeyManagementServiceClient } from '@google-cloud/kms';
import { type FaultTable, faultOf } from '../cloud/fault.ts';
import { rootFailure } from '../failure.ts';
import { crc32c } from './crc32c.ts';
import { checkState, type CryptoKey } from './key-check.ts';

export interface GcpKey {
  get(signal?: AbortSignal): Promise<CryptoKey>;
  /** @param number of the version, 4 bytes, as they stand in the database */
  checkVersion(number: Buffer, signal?: AbortSignal): Promise<void>;
  encrypt(version: number, secret: Uint8Array, aad: Buffer, signal?: AbortSignal): Promise<Buffer>;
  decrypt(ciphertext: Buffer, aad: Buffer, signal?: AbortSignal): Promise<Buffer>;
  close(): Promise<void>;
}

// biome-ignore format: a table
const FAULTS: FaultTable = {
  INVALID_ARGUMENT:    'KEYS_ROOT_REFUSED',
  NOT_FOUND:           'KEYS_ROOT_REFUSED',
  PERMISSION_DENIED:   'KEYS_ROOT_REFUSED',
  FAILED_PRECONDITION: 'KEYS_ROOT_REFUSED',
  UNIMPLEMENTED:       'KEYS_ROOT_REFUSED',
  UNAUTHENTICATED:     'KEYS_ROOT_REFUSED',
};

/** A version that is not there was written by somebody else. */
const VERSION_FAULTS: FaultTable = { ...FAULTS, NOT_FOUND: 'KEYS_NOT_AUTHENTIC' };

/** An argument of Decrypt that is not valid is the ciphertext or what was bound to it: nothing else of the request varies. */
const DECRYPT_FAULTS: FaultTable = { ...FAULTS, INVALID_ARGUMENT: 'KEYS_NOT_AUTHENTIC' };

/** gRPC status codes by their numbers. */
// biome-ignore format: a table
const STATUSES: readonly string[] = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** `resilient` gives up earlier; opening is not behind it. */
const ANSWER_TIMEOUT_MS = 10_000;

export function createGcpKey(client: KeyManagementServiceClient, name: string): GcpKey {
  const versionName = (version: number) => `${name}/cryptoKeyVersions/${version}`;
  return {
    async get(signal) {
      const [key] = await ask(FAULTS, client.getCryptoKey({ name }, during(signal)));
      if (key.name !== name) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered with another key.');
      return key;
    },
    async checkVersion(number, signal) {
      if (number.length !== 4 || number.readUInt32BE() === 0) throw rootFailure('KEYS_NOT_AUTHENTIC');
      const version = versionName(number.readUInt32BE());
      const [found] = await ask(VERSION_FAULTS, client.getCryptoKeyVersion({ name: version }, during(signal)));
      if (found.name !== version) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered with another version.');
      checkState(found);
    },
    async encrypt(version, secret, aad, signal) {
      const sums = { plaintextCrc32c: sum(secret), additionalAuthenticatedDataCrc32c: sum(aad) };
      const request = { name: versionName(version), plaintext: secret, additionalAuthenticatedData: aad, ...sums };
      const [answer] = await ask(FAULTS, client.encrypt(request, during(signal)));
      if (answer.name !== request.name) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It encrypted with another key.');
      const arrived = answer.verifiedPlaintextCrc32c && answer.verifiedAdditionalAuthenticatedDataCrc32c;
      if (!arrived) throw damaged('It did not confirm the checksums.');
      return whole(answer.ciphertext, answer.ciphertextCrc32c);
    },
    async decrypt(ciphertext, aad, signal) {
      const sums = { ciphertextCrc32c: sum(ciphertext), additionalAuthenticatedDataCrc32c: sum(aad) };
      const request = { name, ciphertext, additionalAuthenticatedData: aad, ...sums };
      const [answer] = await ask(DECRYPT_FAULTS, client.decrypt(request, during(signal)));
      return whole(answer.plaintext, answer.plaintextCrc32c);
    },
    close: () => client.close(),
  };
}

/** Attempts and pauses are those of `resilient`. */
const during = (signal?: AbortSignal) => ({ retry: null, timeout: ANSWER_TIMEOUT_MS, ...(signal ? { signal } : {}) });

const sum = (bytes: Uint8Array) => ({ value: crc32c(bytes) });

async function ask<Answer>(faults: FaultTable, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (thrown) {
    throw faultOf('Cloud KMS', faults, withStatusName(thrown));
  }
}

function withStatusName(thrown: unknown): unknown {
  const status = STATUSES[Number((thrown as { code?: unknown } | undefined)?.code)];
  return status === undefined ? thrown : Object.assign(new Error(status), { code: status });
}

type Checksum = { readonly value?: unknown } | null | undefined;

/** A copy that the caller owns; the SDK's is wiped. */
function whole(bytes: Uint8Array | string | null | undefined, checksum: Checksum): Buffer {
  if (!(bytes instanceof Uint8Array)) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'It answered without a result.');
  const copy = Buffer.from(bytes);
  bytes.fill(0);
  if (String(checksum?.value) === String(crc32c(copy))) return copy;
  copy.fill(0);
  throw damaged('Its checksum does not fit what it answered.');
}

/** On the way, as Google's guidelines on data integrity take it: the same call may succeed, so it is tried again. */
const damaged = (detail: string) => rootFailure('KEYS_ROOT_UNAVAILABLE', detail);
