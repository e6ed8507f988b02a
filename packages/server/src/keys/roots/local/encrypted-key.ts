/**
 * A root key under a passphrase, as it lies in its file:
 *
 *     "kwl1" · salt 16 · sealed bytes (sdk envelope) of the 32 bytes, under Argon2id of passphrase and salt
 *
 * The costs belong to the version and are not read from the file: who can write to it can neither weaken nor overload us.
 */
import { argon2Sync, randomBytes } from 'node:crypto';
import { createDataKey, type DataKey, openBytes, type RandomBytes, sealBytes } from '@keyward/sdk/seal';

const MAGIC = Buffer.from('kwl1', 'latin1');
const SALT_BYTES = 16;
/** RFC 9106, section 4, second recommended option, in one lane; above the minimum of the OWASP password storage cheat sheet (19 MiB, 2). */
const MEMORY_KIB = 64 * 1024;
const PASSES = 3;
const LANES = 1;

export const isEncryptedKey = (bytes: Buffer): boolean => bytes.subarray(0, MAGIC.length).equals(MAGIC);

export function encryptKey(key: Uint8Array, passphrase: string, random: RandomBytes = randomBytes): Buffer {
  const head = Buffer.concat([MAGIC, random(SALT_BYTES)]);
  return Buffer.concat([head, sealBytes(derive(passphrase, head), head, key, random)]);
}

/** The 32 bytes, which the caller owns. @throws SealError when the passphrase is another one, or the bytes were changed */
export function decryptKey(bytes: Buffer, passphrase: string): Buffer {
  const head = bytes.subarray(0, MAGIC.length + SALT_BYTES);
  return openBytes(derive(passphrase, head), head, bytes.subarray(head.length));
}

/** NFC: the same passphrase typed on another machine gives the same bytes. */
function derive(passphrase: string, head: Buffer): DataKey {
  const message = Buffer.from(passphrase.normalize('NFC'), 'utf8');
  const nonce = Buffer.alloc(SALT_BYTES);
  head.copy(nonce, 0, MAGIC.length);
  try {
    const options = { message, nonce, parallelism: LANES, tagLength: 32, memory: MEMORY_KIB, passes: PASSES };
    return createDataKey(argon2Sync('argon2id', options));
  } finally {
    message.fill(0);
  }
}
