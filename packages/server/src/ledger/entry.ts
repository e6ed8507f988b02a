/**
 * The bytes of a ledger entry. They are a contract: proofs stand on them, so they change only with the version byte.
 *
 *     entry   = header ‖ body
 *     header  = version (1 byte, 0x01) ‖ field × 8
 *     field   = length (2 bytes, big endian) ‖ bytes
 *     fields  = id (16) · time (8, milliseconds since 1970, big endian) · class (UTF-8) · tenant (UTF-8)
 *             · actor (16) · subjects (16 each) · key ids (16 each) · correlation id (16)
 *     body    = sealed event, an envelope of @keyward/sdk/seal whose AAD is the header
 *     leaf    = SHA-256(0x00 ‖ entry)                                          (RFC 6962, section 2.1)
 *
 * The leaf is over the ciphertext: destroying a day key makes bodies unreadable and leaves every proof valid.
 */
import { createHash } from 'node:crypto';
import { type EventClass, KeywardError } from '../core/index.ts';

/** Longest entry (C2SP tlog-tiles gives entry bundles a 16-bit length). */
export const ENTRY_MAX_BYTES = 65_535;

const VERSION = 0x01;
const ID_BYTES = 16;
const TIME_BYTES = 8;
const LENGTH_BYTES = 2;
const LEAF_PREFIX = Uint8Array.of(0x00);

/** What may be seen without a key: no name, no identifier, pseudonyms only. */
export interface EntryHeader {
  /** UUID of the event. */
  readonly id: string;
  readonly at: Date;
  readonly class: EventClass;
  readonly tenant: string;
  /** Pseudonym, 16 bytes. */
  readonly actor: Buffer;
  /** Pseudonyms, 16 bytes each. */
  readonly subjects: readonly Buffer[];
  /** 16 bytes each. */
  readonly keyIds: readonly Buffer[];
  /** UUID. */
  readonly correlation: string;
}

export function encodeHeader(header: EntryHeader): Buffer {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(header.at.getTime()));
  return Buffer.concat([
    Uint8Array.of(VERSION),
    lengthPrefixed([
      uuidBytes(header.id),
      time,
      Buffer.from(header.class),
      Buffer.from(header.tenant),
      requireIdSize(header.actor),
      Buffer.concat(header.subjects.map(requireIdSize)),
      Buffer.concat(header.keyIds.map(requireIdSize)),
      uuidBytes(header.correlation),
    ]),
  ]);
}

/** RFC 6962 leaf hash of an entry. */
export function leafHash(header: Uint8Array, body: Uint8Array): Buffer {
  return createHash('sha256').update(LEAF_PREFIX).update(header).update(body).digest();
}

/** Size of a header before it is made, for cutting events that are too large. */
export function headerSizeBytes(counts: { subjects: number; keyIds: number; tenant: string; class: string }): number {
  const ids = ID_BYTES * (3 + counts.subjects + counts.keyIds);
  return 1 + 8 * LENGTH_BYTES + TIME_BYTES + ids + Buffer.byteLength(counts.tenant) + Buffer.byteLength(counts.class);
}

/** Injective: no two lists of fields have the same bytes. */
export function lengthPrefixed(fields: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.alloc(fields.reduce((sum, field) => sum + LENGTH_BYTES + requireFieldSize(field), 0));
  let at = 0;
  for (const field of fields) {
    at = bytes.writeUInt16BE(field.length, at);
    bytes.set(field, at);
    at += field.length;
  }
  return bytes;
}

function requireFieldSize({ length }: Uint8Array): number {
  if (length > ENTRY_MAX_BYTES) throw new KeywardError('LEDGER_ENTRY_TOO_LARGE');
  return length;
}

function requireIdSize(bytes: Buffer): Buffer {
  if (bytes.length !== ID_BYTES)
    throw new KeywardError('CORE_INTERNAL', { detail: 'A ledger entry names an id that is not 16 bytes.' });
  return bytes;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function uuidBytes(text: string): Buffer {
  if (!UUID.test(text))
    throw new KeywardError('CORE_INTERNAL', { detail: 'A ledger entry has an id that is not a UUID.' });
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}
