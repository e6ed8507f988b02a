/** Public keys on Curve25519 as people hand them in: one spelling each, so that nobody counts as several with one key. */

/** RFC 7748 and RFC 8032: of both curves, 2^255 - 19. */
const FIELD_PRIME = 2n ** 255n - 19n;
const KEY_BYTES = 32;
const HIGH_BIT = 0x80;

/** What the highest bit of each kind says: nothing in X25519, where it must be clear; the sign of x in Ed25519. */
const SIGN_BITS = { x25519: 0, ed25519: HIGH_BIT } as const;

/** The 32 bytes; undefined for another length or base64url that says the same, and for a coordinate that is not reduced. */
export function readPublicKey(kind: keyof typeof SIGN_BITS, text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== KEY_BYTES || bytes.toString('base64url') !== text) return undefined;
  return coordinateOf(bytes, SIGN_BITS[kind]) < FIELD_PRIME ? bytes : undefined;
}

function coordinateOf(bytes: Uint8Array, signBit: number): bigint {
  const bigEndian = Buffer.from(bytes.toReversed());
  bigEndian[0] = (bigEndian[0] ?? 0) & ~signBit;
  return BigInt(`0x${bigEndian.toString('hex')}`);
}
