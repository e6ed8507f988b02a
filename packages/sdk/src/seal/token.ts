/** Field tokens: envelopes as text, in exactly one spelling. */
import { envelopeKeyId } from './envelope.ts';
import { SealError } from './errors.ts';
import { ENVELOPE_OVERHEAD_BYTES, TOKEN_PREFIX } from './format.ts';
import type { KeyId } from './types.ts';

/** JSON text has at least one byte. */
const ENVELOPE_MIN_BYTES = ENVELOPE_OVERHEAD_BYTES + 1;
/** base64url writes 3 bytes in 4 characters, without padding. */
const TOKEN_MIN_CHARACTERS = TOKEN_PREFIX.length + Math.ceil((ENVELOPE_MIN_BYTES * 4) / 3);
const BASE64URL = /^[\w-]+$/;

/**
 * Whether a text has the shape of a token: cheap, and never proof that it is one, since anybody can write such a text.
 * "Already sealed" is only what authenticates.
 */
export function isToken(text: string): boolean {
  return (
    text.length >= TOKEN_MIN_CHARACTERS &&
    text.startsWith(TOKEN_PREFIX) &&
    BASE64URL.test(text.slice(TOKEN_PREFIX.length))
  );
}

/** The key a token names. @throws SealError `SEAL_TOKEN_MALFORMED` */
export function tokenKeyId(token: string): KeyId {
  return envelopeKeyId(decodeToken(token));
}

export function encodeToken(envelope: Buffer): string {
  return TOKEN_PREFIX + envelope.toString('base64url');
}

export function decodeToken(token: string): Buffer {
  if (!isToken(token)) throw new SealError('SEAL_TOKEN_MALFORMED');
  const envelope = Buffer.from(token.slice(TOKEN_PREFIX.length), 'base64url');
  // Node's decoder ignores stray bits and impossible lengths; a token that could be written in two ways would be malleable.
  if (encodeToken(envelope) !== token) throw new SealError('SEAL_TOKEN_MALFORMED');
  return envelope;
}
