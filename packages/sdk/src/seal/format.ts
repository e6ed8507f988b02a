/** The numbers of the seal format. They are contracts: changing one needs a new version prefix. Clauses: docs/reference/seal-format.md. */

/** A field token is this prefix and the base64url text of an envelope. */
export const TOKEN_PREFIX = 'kw1.';

/** The algorithms an envelope may name in its first byte; any other byte is refused. */
export const ALGORITHM = { byte: 1, cipher: 'aes-256-gcm' } as const;

/** AES-256 (FIPS 197). */
export const KEY_BYTES = 32;

/** Envelope: algorithm ‖ key id ‖ IV ‖ ciphertext ‖ tag. IV and tag as in SP 800-38D §8.2.2 and §5.2.1.2. */
export const ALGORITHM_BYTES = 1;
export const KEY_ID_BYTES = 16;
export const IV_BYTES = 12;
export const TAG_BYTES = 16;

export const IV_OFFSET_BYTES = ALGORITHM_BYTES + KEY_ID_BYTES;
export const HEADER_BYTES = IV_OFFSET_BYTES + IV_BYTES;
/** What an envelope has beyond its plaintext. */
export const ENVELOPE_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES;

/** A key id is HMAC-SHA-256 of this label under the key, cut to `KEY_ID_BYTES`. It holds no NUL, so no blind index can equal it. */
export const KEY_ID_LABEL = 'keyward/1 key id';

/** First part of every field context. */
export const CONTEXT_LABEL = 'keyward/1';
/** Each part of a context stands behind its length, an unsigned 32-bit big-endian number. */
export const CONTEXT_LENGTH_BYTES = 4;

/** A blind index is this prefix and the lowercase base32 text (RFC 4648 §6, no padding) of an HMAC-SHA-256 cut to `INDEX_BYTES`. */
export const INDEX_PREFIX = 'kwi1';
export const INDEX_BYTES = 16;

/**
 * Plaintext lengths are rounded up to multiples of these bytes, so that the length of a token does not tell which of few values it holds.
 * Opening does not depend on this table. Narratives and media keep their length: there it tells little.
 */
const BUCKET_BYTES: ReadonlyMap<string, number> = new Map([
  ['birthDate', 16],
  ['identifier', 16],
  ['contact', 16],
  ['name', 16],
  ['address', 16],
  ['label', 16],
  // Also the class of coded answers and lab results such as "Non-reactive".
  ['freeText', 16],
  ['narrative', 1],
  ['media', 1],
]);
/** A class the table does not know is padded: the safe side. */
const BUCKET_OF_OTHERS_BYTES = 16;

/** Length of a plaintext of this class after padding. */
export function paddedBytes(fieldClass: string, plaintextBytes: number): number {
  const bucketBytes = BUCKET_BYTES.get(fieldClass) ?? BUCKET_OF_OTHERS_BYTES;
  return Math.ceil(plaintextBytes / bucketBytes) * bucketBytes;
}
