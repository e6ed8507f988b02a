/** What a key of Cloud KMS must be like before KEKs stand on it, and in which state a version of it may be used. */
import type { protos } from '@google-cloud/kms';
import { rootFailure } from '../failure.ts';

export type CryptoKey = protos.google.cloud.kms.v1.ICryptoKey;
export type CryptoKeyVersion = protos.google.cloud.kms.v1.ICryptoKeyVersion;

export interface Primary extends CryptoKeyVersion {
  readonly version: number;
}

/** Where cryptography happens. What is not listed is taken for software. */
// biome-ignore format: a table
export const PROTECTION: Readonly<Record<string, { readonly hardware: boolean }>> = {
  SOFTWARE:          { hardware: false },
  HSM:               { hardware: true },
  HSM_SINGLE_TENANT: { hardware: true },
  /** A key manager outside of Google Cloud, which does not know what it is. */
  EXTERNAL:          { hardware: false },
  EXTERNAL_VPC:      { hardware: false },
};

/** @throws KeywardError `KEYS_ROOT_UNUSABLE` that names what does not fit, or as `checkState` */
export function checkKey({ purpose, primary }: CryptoKey): Primary {
  if (purpose !== 'ENCRYPT_DECRYPT') throw rootFailure('KEYS_ROOT_UNUSABLE', 'The key is not for ENCRYPT_DECRYPT.');
  if (!primary) throw rootFailure('KEYS_ROOT_UNUSABLE', 'The key has no primary version.');
  checkState(primary);
  const version = Number(/\/cryptoKeyVersions\/([1-9]\d{0,8})$/.exec(primary.name ?? '')?.[1]);
  if (!version) throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'Its primary version has no number.');
  return { ...primary, version };
}

/** @throws KeywardError `KEYS_ROOT_REFUSED` */
export function checkState({ state }: CryptoKeyVersion): void {
  if (state !== 'ENABLED') throw rootFailure('KEYS_ROOT_REFUSED', `The key version is not enabled: ${stateOf(state)}.`);
}

const stateOf = (state: unknown): string =>
  typeof state === 'string' && /^[A-Z_]{1,40}$/.test(state) ? state : 'no state';
