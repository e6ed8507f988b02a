/** The envelope: algorithm, key id, IV, ciphertext and tag, for field tokens, for bodies at rest and for ledger bodies. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { RandomBytes } from './data-key.ts';
import { SealError } from './errors.ts';
import {
  ALGORITHM,
  ALGORITHM_BYTES,
  ENVELOPE_OVERHEAD_BYTES,
  HEADER_BYTES,
  IV_BYTES,
  IV_OFFSET_BYTES,
  KEY_ID_BYTES,
  TAG_BYTES,
} from './format.ts';
import type { DataKey, KeyId } from './types.ts';

const OPTIONS = { authTagLength: TAG_BYTES };

/** `aad` says what the bytes are and where they belong; the caller makes it unambiguous (length prefixes). */
export function sealBytes(
  key: DataKey,
  aad: Uint8Array,
  plaintext: Uint8Array,
  random: RandomBytes = randomBytes,
): Buffer {
  const envelope = Buffer.allocUnsafe(plaintext.length + ENVELOPE_OVERHEAD_BYTES);
  envelope.set(plaintext, HEADER_BYTES);
  sealInPlace(envelope, key, random(IV_BYTES), aad);
  return envelope;
}

/**
 * The plaintext; the caller owns its bytes.
 * @throws SealError `SEAL_TOKEN_MALFORMED` | `SEAL_KEY_MISMATCH` | `SEAL_NOT_AUTHENTIC`
 */
export function openBytes(key: DataKey, aad: Uint8Array, envelope: Uint8Array): Buffer {
  if (envelopeKeyId(envelope) !== key.id) throw new SealError('SEAL_KEY_MISMATCH');
  const tagStart = envelope.length - TAG_BYTES;
  const decipher = createDecipheriv(
    ALGORITHM.cipher,
    key.secret,
    envelope.subarray(IV_OFFSET_BYTES, HEADER_BYTES),
    OPTIONS,
  );
  decipher.setAAD(aad).setAuthTag(envelope.subarray(tagStart));
  const plaintext = decipher.update(envelope.subarray(HEADER_BYTES, tagStart));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    throw new SealError('SEAL_NOT_AUTHENTIC');
  }
}

/** The key an envelope names. */
export function envelopeKeyId(envelope: Uint8Array): KeyId {
  const wellFormed = envelope.length >= ENVELOPE_OVERHEAD_BYTES && envelope[0] === ALGORITHM.byte;
  if (!wellFormed) throw new SealError('SEAL_TOKEN_MALFORMED');
  const { buffer, byteOffset } = envelope;
  return Buffer.from(buffer, byteOffset + ALGORITHM_BYTES, KEY_ID_BYTES).toString('hex');
}

/** Turns a buffer that holds a plaintext between the spaces for header and tag into an envelope. */
export function sealInPlace(envelope: Buffer, key: DataKey, iv: Uint8Array, aad: Uint8Array): void {
  const tagStart = envelope.length - TAG_BYTES;
  const cipher = createCipheriv(ALGORITHM.cipher, key.secret, iv, OPTIONS).setAAD(aad);
  const ciphertext = cipher.update(envelope.subarray(HEADER_BYTES, tagStart));
  cipher.final();
  envelope.set(ciphertext, HEADER_BYTES);
  envelope.set(cipher.getAuthTag(), tagStart);
  envelope.set(iv, IV_OFFSET_BYTES);
  envelope[0] = ALGORITHM.byte;
  if (envelope.write(key.id, ALGORITHM_BYTES, 'hex') !== KEY_ID_BYTES) throw new SealError('SEAL_KEY_INVALID');
}
