/** Blind indexes: keyed fingerprints of normalised values, so that what is sealed can still be found by equality. */
import { createHmac } from 'node:crypto';
import { SealError } from './errors.ts';
import { INDEX_BYTES, INDEX_PREFIX } from './format.ts';
import { normalise } from './normalise.ts';
import type { DataKey } from './types.ts';

const SEPARATOR = '\0';
/** RFC 4648 §6 in lower case: safe in URLs and for servers that compare without regard to case. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const BASE32_BITS = 5;

/**
 * The index of one value; undefined when nothing is left of it after normalising.
 * `system` separates name spaces of one class (an identifier's system); '' where there is none.
 * @throws SealError `SEAL_INDEX_CLASS` for a class without a declared normaliser.
 */
export function blindIndex(indexKey: DataKey, indexClass: string, system: string, text: string): string | undefined {
  const normalised = normalise(indexClass, system, text);
  if (normalised === '') return undefined;
  // A separator within class or system would let two different triples have one message.
  if (indexClass.includes(SEPARATOR) || system.includes(SEPARATOR)) throw new SealError('SEAL_VALUE_UNSUPPORTED');
  const message = [indexClass, system, normalised].join(SEPARATOR);
  const mac = createHmac('sha256', indexKey.secret).update(message, 'utf8').digest();
  return INDEX_PREFIX + base32(mac.subarray(0, INDEX_BYTES));
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let bitCount = 0;
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    for (bitCount += 8; bitCount >= BASE32_BITS; bitCount -= BASE32_BITS)
      text += digit(bits >>> (bitCount - BASE32_BITS));
    bits &= (1 << bitCount) - 1;
  }
  return bitCount === 0 ? text : text + digit(bits << (BASE32_BITS - bitCount));
}

const digit = (bits: number): string => BASE32.charAt(bits & (BASE32.length - 1));
