/**
 * What a root outside this process wraps, as an envelope `kwr1`. The root encrypts a fresh wrapping key, and that seals the KEK
 * here: place and root key are bound the same way, whatever a provider can bind by itself, and a wrong answer never opens.
 *
 *     "kwr1" · length 1 · provider · length 2 · root key · length 2 · encrypted wrapping key · sealed bytes (sdk envelope)
 */
import { createHash } from 'node:crypto';
import { createDataKey, type DataKey, generateDataKey, openBytes, sealBytes } from '@keyward/sdk/seal';
import { untilClosed } from './closable.ts';
import { rootFailure } from './failure.ts';
import type { Root, RootDescription } from './root.ts';

/** What a provider does: it encrypts and decrypts 32 bytes under a key that stays with it. */
export interface RootCipher {
  /**
   * `context` are 32 bytes, a digest of place and root key: bound by the provider where it can bind something.
   * @throws KeywardError made by `rootFailure`
   */
  encrypt(secret: Uint8Array, context: Buffer, signal?: AbortSignal): Promise<Buffer>;
  /** @throws KeywardError made by `rootFailure`; `KEYS_NOT_AUTHENTIC` when ciphertext or context was changed */
  decrypt(ciphertext: Buffer, context: Buffer, signal?: AbortSignal): Promise<Buffer>;
  describe(): RootDescription;
  close(): Promise<void>;
}

const MAGIC = Buffer.from('kwr1', 'latin1');
const WRAPPING_KEY_BYTES = 32;

export function envelopeRoot(cipher: RootCipher, makeKey: () => DataKey = generateDataKey): Root {
  return untilClosed({
    async wrap(plaintext, aad, signal) {
      const header = headerOf(cipher.describe());
      const key = makeKey();
      const encrypted = await encryptKey(cipher, key, contextOf(header, aad), signal);
      const front = Buffer.concat([header, lengthOf(encrypted), encrypted]);
      return Buffer.concat([front, sealBytes(key, boundTo(front, aad), plaintext)]);
    },
    async unwrap(wrapped, aad, signal) {
      const { header, encrypted, front, sealed } = parse(Buffer.from(wrapped));
      if (!header.equals(headerOf(cipher.describe()))) throw rootFailure('KEYS_ROOT_MISMATCH');
      const bytes = await cipher.decrypt(encrypted, contextOf(header, aad), signal);
      return open(bytes, boundTo(front, aad), sealed);
    },
    describe: () => cipher.describe(),
    close: () => cipher.close(),
  });
}

async function encryptKey(cipher: RootCipher, key: DataKey, context: Buffer, signal?: AbortSignal): Promise<Buffer> {
  const bytes = key.secret.export();
  try {
    return await cipher.encrypt(bytes, context, signal);
  } finally {
    bytes.fill(0);
  }
}

function open(bytes: Buffer, aad: Buffer, sealed: Buffer): Buffer {
  if (bytes.length !== WRAPPING_KEY_BYTES) {
    bytes.fill(0);
    throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'What it unwrapped has another length.');
  }
  try {
    return openBytes(createDataKey(bytes), aad, sealed);
  } catch (thrown) {
    throw rootFailure('KEYS_NOT_AUTHENTIC', undefined, thrown);
  }
}

function headerOf({ provider, key }: RootDescription): Buffer {
  const [providerBytes, keyBytes] = [Buffer.from(provider, 'utf8'), Buffer.from(key, 'utf8')];
  return Buffer.concat([MAGIC, Buffer.of(providerBytes.length), providerBytes, lengthOf(keyBytes), keyBytes]);
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return length;
}

const boundTo = (front: Buffer, aad: Uint8Array): Buffer => Buffer.concat([lengthOf(front), front, aad]);

const contextOf = (header: Buffer, aad: Uint8Array): Buffer =>
  createHash('sha256').update('keyward/root/1').update(boundTo(header, aad)).digest();

interface Parts {
  readonly header: Buffer;
  readonly encrypted: Buffer;
  /** Everything before the sealed bytes. */
  readonly front: Buffer;
  readonly sealed: Buffer;
}

/** @throws KeywardError `KEYS_NOT_AUTHENTIC` when it is no envelope or was cut off */
function parse(wrapped: Buffer): Parts {
  if (!wrapped.subarray(0, MAGIC.length).equals(MAGIC)) throw rootFailure('KEYS_NOT_AUTHENTIC');
  try {
    const keyAt = MAGIC.length + 1 + wrapped.readUInt8(MAGIC.length);
    const encryptedAt = keyAt + 2 + wrapped.readUInt16BE(keyAt);
    const sealedAt = encryptedAt + 2 + wrapped.readUInt16BE(encryptedAt);
    if (sealedAt >= wrapped.length) throw new RangeError('cut off');
    return {
      header: wrapped.subarray(0, encryptedAt),
      encrypted: wrapped.subarray(encryptedAt + 2, sealedAt),
      front: wrapped.subarray(0, sealedAt),
      sealed: wrapped.subarray(sealedAt),
    };
  } catch (thrown) {
    // Reading a length behind the end: it was cut off, or a length was changed.
    throw rootFailure('KEYS_NOT_AUTHENTIC', undefined, thrown);
  }
}
