/**
 * The signature over what RSA encrypted. Whoever knows the public key could encrypt a wrapping key of his own and plant a KEK
 * that he knows; the signature proves that the custodian, which alone may sign with the key in the vault, made it.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { KeyVaultKey } from '@azure/keyvault-keys';
import { rootFailure } from '../failure.ts';
import { checkState } from './key-check.ts';
import type { VaultKey } from './vault-key.ts';

/** ES256: r and s, 32 bytes each (RFC 7518, section 3.4). */
const SIGNATURE_BYTES = 64;
const LABEL = 'keyward/azure-root/1';

export interface Signer {
  /** Id of its key. */
  readonly id: string;
  /** The signature, then what was signed. */
  sign(encrypted: Buffer, context: Buffer, signal?: AbortSignal): Promise<Buffer>;
  /** What was signed. @throws KeywardError `KEYS_NOT_AUTHENTIC` */
  verified(signed: Buffer, context: Buffer, signal?: AbortSignal): Promise<Buffer>;
}

/** @throws KeywardError `KEYS_ROOT_UNUSABLE` where the key cannot sign with ES256 */
export function createSigner(key: VaultKey): Signer {
  const publicKey = publicKeyOf(key.found);
  return {
    id: key.id,
    async sign(encrypted, context, signal) {
      checkState(await key.get(signal), 'wrap', new Date());
      const signature = await key.sign(createHash('sha256').update(messageOf(encrypted, context)).digest(), signal);
      if (signature.length !== SIGNATURE_BYTES)
        throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'Its signature has another length.');
      return Buffer.concat([signature, encrypted]);
    },
    async verified(signed, context, signal) {
      const [signature, encrypted] = [signed.subarray(0, SIGNATURE_BYTES), signed.subarray(SIGNATURE_BYTES)];
      const by = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
      if (!verify('sha256', messageOf(encrypted, context), by, signature)) throw rootFailure('KEYS_NOT_AUTHENTIC');
      // A key that its owner took back vouches for nothing any more.
      checkState(await key.get(signal), 'unwrap', new Date());
      return encrypted;
    },
  };
}

/** The context has always 32 bytes, so no two pairs give one message. */
const messageOf = (encrypted: Buffer, context: Buffer): Buffer =>
  Buffer.concat([Buffer.from(LABEL), context, encrypted]);

function publicKeyOf({ key, keyType, keyOperations }: KeyVaultKey): KeyObject {
  const isFit = (keyType === 'EC' || keyType === 'EC-HSM') && key?.crv === 'P-256' && keyOperations?.includes('sign');
  if (!isFit || !key?.x || !key.y)
    throw rootFailure('KEYS_ROOT_UNUSABLE', 'The signing key is not EC P-256 that may sign.');
  const [x, y] = [key.x, key.y].map((each) => Buffer.from(each).toString('base64url')) as [string, string];
  return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y } });
}
