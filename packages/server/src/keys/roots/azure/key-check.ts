/** What a key of Azure Key Vault must be like before KEKs stand on it, and when it may be used. */
import type { KeyVaultKey, KeyWrapAlgorithm } from '@azure/keyvault-keys';
import { rootFailure } from '../failure.ts';

export interface WrappingKind {
  readonly algorithm: KeyWrapAlgorithm;
  readonly hardware: boolean;
  /** RSA: the public key is enough to wrap, so what was wrapped proves nothing by itself. */
  readonly needsSignature: boolean;
}

// biome-ignore format: a table
const KINDS: Readonly<Record<string, WrappingKind>> = {
  'RSA':     { algorithm: 'RSA-OAEP-256', hardware: false, needsSignature: true },
  'RSA-HSM': { algorithm: 'RSA-OAEP-256', hardware: true,  needsSignature: true },
  'oct-HSM': { algorithm: 'A256KW',       hardware: true,  needsSignature: false },
};

/** 128 bits of strength, as for everything after 2030 (NIST SP 800-57 part 1, tables 2 and 4). */
const LEAST_RSA_BITS = 3072;
const OPERATIONS = ['wrapKey', 'unwrapKey'] as const;

/** @throws KeywardError `KEYS_ROOT_UNUSABLE` that names what does not fit */
export function kindOf(key: KeyVaultKey): WrappingKind {
  const kind = KINDS[key.keyType ?? ''];
  if (!kind) throw unfit('It is neither RSA nor oct-HSM.');
  if (kind.needsSignature && bitsOf(key.key?.n) < LEAST_RSA_BITS)
    throw unfit(`It has less than ${LEAST_RSA_BITS} bits.`);
  if (!OPERATIONS.every((operation) => key.keyOperations?.includes(operation)))
    throw unfit('It may not wrapKey and unwrapKey.');
  return kind;
}

/**
 * The vault lets keys unwrap after their expiry, and so do we: data outlives the originator's use of its key (NIST SP 800-57 part
 * 1, sections 5.3.4 and 5.3.5). Before its time, or when disabled, it does nothing.
 * @throws KeywardError `KEYS_ROOT_REFUSED`
 */
export function checkState({ properties }: KeyVaultKey, use: 'wrap' | 'unwrap', now: Date): void {
  const { enabled, notBefore, expiresOn } = properties;
  if (enabled !== true) throw rootFailure('KEYS_ROOT_REFUSED', 'The key in the vault is not enabled.');
  if (notBefore && notBefore > now) throw rootFailure('KEYS_ROOT_REFUSED', 'The key in the vault is not active yet.');
  if (use === 'wrap' && expiresOn && expiresOn <= now)
    throw rootFailure('KEYS_ROOT_REFUSED', 'The key in the vault has expired.');
}

const unfit = (why: string) => rootFailure('KEYS_ROOT_UNUSABLE', `The key in the vault does not fit. ${why}`);

/** Of a modulus, which some servers write with a zero byte in front. */
function bitsOf(modulus: Uint8Array | undefined): number {
  const first = modulus?.findIndex((byte) => byte !== 0) ?? -1;
  return modulus === undefined || first < 0
    ? 0
    : (modulus.length - first) * 8 - (Math.clz32(modulus[first] as number) - 24);
}
