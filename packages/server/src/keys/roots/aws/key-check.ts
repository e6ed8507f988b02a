/** What a KMS key must be like before KEKs stand on it, and in which state it may be used. */
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { rootFailure } from '../failure.ts';

export type { KeyMetadata };

interface Rule {
  readonly member: 'KeySpec' | 'KeyUsage' | 'KeyManager';
  readonly value: string;
  readonly complaint: string;
}

// biome-ignore format: a table
const RULES: readonly Rule[] = [
  { member: 'KeySpec',    value: 'SYMMETRIC_DEFAULT', complaint: 'It is not symmetric (SYMMETRIC_DEFAULT).' },
  { member: 'KeyUsage',   value: 'ENCRYPT_DECRYPT',   complaint: 'It is not for ENCRYPT_DECRYPT.' },
  { member: 'KeyManager', value: 'CUSTOMER',          complaint: 'AWS manages it, so nobody here decides who may use it; create a customer managed key.' },
];

/** Where the key material came from. What is not listed is taken for the worst. */
// biome-ignore format: a table
export const ORIGINS: Readonly<Record<string, { readonly hardware: boolean; readonly exportable: boolean }>> = {
  AWS_KMS:            { hardware: true,  exportable: false },
  AWS_CLOUDHSM:       { hardware: true,  exportable: false },
  /** Imported: whoever imported it had it outside. */
  EXTERNAL:           { hardware: true,  exportable: true },
  /** A key manager outside of AWS; KMS does not know what it is. */
  EXTERNAL_KEY_STORE: { hardware: false, exportable: true },
};

/** @throws KeywardError `KEYS_ROOT_UNUSABLE` that names the first rule it breaks, or as `checkState` */
export function checkKey(key: KeyMetadata): void {
  const broken = RULES.find(({ member, value }) => key[member] !== value);
  if (broken) throw rootFailure('KEYS_ROOT_UNUSABLE', `The KMS key does not fit. ${broken.complaint}`);
  checkState(key);
}

/** @throws KeywardError `KEYS_ROOT_REFUSED` */
export function checkState({ KeyState }: KeyMetadata): void {
  if (KeyState !== 'Enabled')
    throw rootFailure('KEYS_ROOT_REFUSED', `The KMS key is not enabled: ${stateOf(KeyState)}.`);
}

const stateOf = (state: string | undefined): string =>
  state !== undefined && /^[A-Za-z]{1,40}$/.test(state) ? state : 'no state';
