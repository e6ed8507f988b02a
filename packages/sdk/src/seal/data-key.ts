/** Data keys: 32 secret bytes inside a KeyObject, named by a commitment to them. */
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { SealError } from './errors.ts';
import { KEY_BYTES, KEY_ID_BYTES, KEY_ID_LABEL } from './format.ts';
import type { DataKey, KeyId } from './types.ts';

/** Returns that many fresh random bytes, which the caller then owns. */
export type RandomBytes = (sizeBytes: number) => Buffer;

/** The commitment that names a key. AES-GCM alone does not commit to its key, so ids are compared before anything is opened. */
export function keyIdOf(secret: Uint8Array | KeyObject): KeyId {
  return createHmac('sha256', secret)
    .update(KEY_ID_LABEL)
    .digest('hex')
    .slice(0, KEY_ID_BYTES * 2);
}

/** Takes the bytes over: the caller's buffer is wiped, also when it is refused. */
export function createDataKey(bytes: Buffer): DataKey {
  try {
    if (bytes.length !== KEY_BYTES) throw new SealError('SEAL_KEY_INVALID');
    const secret = createSecretKey(bytes);
    return { id: keyIdOf(secret), secret };
  } finally {
    bytes.fill(0);
  }
}

export function generateDataKey(random: RandomBytes = randomBytes): DataKey {
  return createDataKey(random(KEY_BYTES));
}
