/** Keyed pseudonyms: entries of one person can be found together, and nobody without the key can tell who it is. */
import { createHmac } from 'node:crypto';
import type { DataKey } from '@keyward/sdk/seal';
import { lengthPrefixed } from './entry.ts';

/** HMAC-SHA-256, truncated (RFC 2104, section 5). */
const PSEUDONYM_BYTES = 16;

/** What a pseudonym stands for; the same text as an actor and as a subject has two. */
export type PseudonymKind = 'actor' | 'subject';

export function pseudonym(key: DataKey, kind: PseudonymKind, parts: readonly string[]): Buffer {
  const message = lengthPrefixed([kind, ...parts].map((part) => Buffer.from(part)));
  return createHmac('sha256', key.secret).update(message).digest().subarray(0, PSEUDONYM_BYTES);
}
