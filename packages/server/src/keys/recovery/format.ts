/**
 * The backup format `kwb1`: one file that restores the key hierarchy, and opens to nobody without its backup key.
 *
 *     file      = magic ‖ u32 length ‖ header ‖ section*
 *     header    = JSON in clear: what is in `backupHeader`
 *     section   = u8 type ‖ u32 length ‖ payload
 *       sealed    (1) an envelope (seal-format.md) under the backup key; its plaintext is a part: rows of one table
 *       records   (2) wrapped keys of the part that follows, in the order of its rows
 *       tombstone (3) a destruction certificate, for records that were erased
 *     record    = key id, 16 B ‖ u8 0 present, 1 erased ‖ u16 length ‖ wrapped key, or as many zero bytes
 *
 * Numbers are big endian. The AAD of a sealed section binds the header's digest, the section's number among the sealed ones, and
 * whether it is the last: sections that are cut off, moved, doubled or of another backup do not open. Wrapped keys stand outside
 * the seal, so that one of them can be erased without the backup key (a crypto-shred reaches backups, K11); the part behind them
 * holds a digest of each, so that none can be altered or exchanged. A data key is wrapped by its KEK as in the database; a KEK is
 * wrapped by the backup key. Tombstones stand behind the last sealed section.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';

/** As PNG does: a byte beyond ASCII and both line ends tell at once when a transfer took the file for text. */
export const MAGIC = Buffer.from('\u0089kwb1\r\n\n', 'latin1');

/** How the names of backup files end. */
export const BACKUP_ENDING = '.kwb';

/** Seconds are enough beside the beginning of the id. */
export function backupFileName(at: Date, backup: string): string {
  const seconds = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `keyward-${seconds}-${backup.slice(0, 8)}${BACKUP_ENDING}`;
}

export const LENGTH_BYTES = 4;
export const SECTION_HEAD_BYTES = 1 + LENGTH_BYTES;
/** No section of ours is larger; a reader needs no more memory than this at a time. */
export const MAX_SECTION_BYTES = 8 * 1024 * 1024;
const MAX_HEADER_BYTES = 4096;

export const SECTION = { sealed: 1, records: 2, tombstone: 3 } as const;
export type SectionType = (typeof SECTION)[keyof typeof SECTION];

/** Most rows of one part, and most bytes of them: certificates grow with the number of backups. Far below the bound of a section. */
export const PART_ROWS = 1000;
export const PART_BYTES = MAX_SECTION_BYTES / 4;

const digits = z.string().regex(/^\d{1,19}$/);
const keyId = z.string().regex(/^[0-9a-f]{32}$/);

export const backupHeader = z.strictObject({
  version: z.literal(1),
  backup: z.uuid(),
  installation: z.uuid(),
  tenant: z.string().min(1),
  generation: digits,
  /** Version of the tables that the rows come from. */
  schema: z.int().min(1),
  at: z.iso.datetime(),
  /** Shares that the backup key was split into, and how many of them give it back. */
  shares: z.int().min(2).max(255),
  threshold: z.int().min(2).max(255),
  /** The backup key's id, which commits to it. */
  key: keyId,
});
export type BackupHeader = z.infer<typeof backupHeader>;

/** One sealed section: rows as PostgreSQL writes them in JSON, without the wrapped keys that stand in front of it. */
export const backupPart = z.strictObject({
  table: z.string(),
  rows: z.array(z.string()),
  /** Of the records in front, in order: SHA-256 over key id and wrapped key, in hex. */
  digests: z.array(z.string()).optional(),
});
export type BackupPart = z.infer<typeof backupPart>;

/** The last part has no rows of a table: it says how many of each there were. */
export const END = 'end';

/** Whatever is wrong looks alike: which byte it was helps only whoever altered it. */
export const invalidBackup = (cause?: unknown): KeywardError => new KeywardError('KEYS_BACKUP_INVALID', { cause });

export function encodeHeader(header: BackupHeader): Buffer {
  const bytes = Buffer.from(JSON.stringify(header));
  return Buffer.concat([MAGIC, uint32(bytes.length), bytes]);
}

export function decodeHeader(bytes: Uint8Array): BackupHeader {
  try {
    return backupHeader.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw invalidBackup(cause);
  }
}

/** Length of the header, read from what the file begins with. */
export function headerBytes(start: Buffer): number {
  if (!start.subarray(0, MAGIC.length).equals(MAGIC)) throw invalidBackup();
  const length = start.readUInt32BE(MAGIC.length);
  if (length > MAX_HEADER_BYTES) throw invalidBackup();
  return length;
}

export const sectionHead = (type: number, length: number): Buffer =>
  Buffer.concat([Buffer.from([type]), uint32(length)]);

const SECTION_LABEL = 'keyward/backup-section/1';
const KEK_LABEL = 'keyward/backup-kek/1';

/** `head` is the encoded header. */
export const sectionAad = (head: Uint8Array, number: number, last: boolean): Buffer =>
  bound(SECTION_LABEL, head, `${number} ${last ? 'last' : 'more'}`);

export const backupKekAad = (head: Uint8Array, kekId: string): Buffer => bound(KEK_LABEL, head, kekId);

/** The digest has a fixed length and the label holds no NUL, so no two contexts give the same bytes. */
const bound = (label: string, head: Uint8Array, what: string): Buffer =>
  Buffer.concat([Buffer.from(`${label}\0`), createHash('sha256').update(head).digest(), Buffer.from(what)]);

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(LENGTH_BYTES);
  bytes.writeUInt32BE(value);
  return bytes;
}
