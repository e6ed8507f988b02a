/** Reads a backup, section by section in bounded memory; believes nothing in it before it is proved. */
import { type FileHandle, open } from 'node:fs/promises';
import { type DataKey, type KeyId, openBytes } from '@keyward/sdk/seal';
import {
  type BackupHeader,
  backupPart,
  type BackupPart,
  decodeHeader,
  END,
  headerBytes,
  invalidBackup,
  LENGTH_BYTES,
  MAGIC,
  MAX_SECTION_BYTES,
  SECTION,
  SECTION_HEAD_BYTES,
  sectionAad,
} from './format.ts';
import { decodeRecords, type KeyRecord, recordDigest } from './records.ts';

export interface Section {
  readonly type: number;
  readonly payload: Buffer;
}

export interface BackupFile extends AsyncDisposable {
  readonly header: BackupHeader;
  /** The encoded header. */
  readonly head: Buffer;
  /** From the first section on, each time it is called. */
  sections(): AsyncGenerator<Section>;
}

/** @throws KeywardError `KEYS_BACKUP_INVALID` */
export async function openBackup(path: string): Promise<BackupFile> {
  const file = await open(path, 'r').catch((cause: unknown) => Promise.reject(invalidBackup(cause)));
  try {
    const start = await readExactly(file, 0, MAGIC.length + LENGTH_BYTES);
    const head = await readExactly(file, 0, start.length + headerBytes(start));
    const header = decodeHeader(head.subarray(start.length));
    const { size } = await file.stat();
    return {
      header,
      head,
      sections: () => sectionsOf(file, head.length, size),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function* sectionsOf(file: FileHandle, start: number, size: number): AsyncGenerator<Section> {
  for (let at = start; at < size; ) {
    const sectionHead = await readExactly(file, at, SECTION_HEAD_BYTES);
    const length = sectionHead.readUInt32BE(1);
    if (length > MAX_SECTION_BYTES) throw invalidBackup();
    const payload = await readExactly(file, at + SECTION_HEAD_BYTES, length);
    yield { type: sectionHead[0] ?? 0, payload };
    at += SECTION_HEAD_BYTES + length;
  }
}

async function readExactly(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, at);
  if (bytesRead !== length) throw invalidBackup();
  return bytes;
}

export interface OpenedPart {
  readonly table: string;
  readonly rows: readonly string[];
  /** Of tables that hold keys: one for each row. */
  readonly records: readonly KeyRecord[];
}

export interface BackupEnd {
  /** Keys whose records were erased. */
  readonly erased: readonly KeyId[];
  /** What stands in the file to justify it. */
  readonly tombstones: readonly string[];
}

/**
 * Every part in order; what it returns is known only at the end, and until then nothing may be relied on.
 * @throws KeywardError `KEYS_BACKUP_INVALID`
 */
export async function* readParts(file: BackupFile, key: DataKey): AsyncGenerator<OpenedPart, BackupEnd> {
  const counts = new Map<string, number>();
  const erased: KeyId[] = [];
  const tombstones: string[] = [];
  let pending: readonly KeyRecord[] | undefined;
  let number = 0;
  let ended = false;
  for await (const { type, payload } of file.sections()) {
    if (type === SECTION.tombstone && ended) tombstones.push(payload.toString('utf8'));
    else if (type === SECTION.records && !ended && !pending) pending = decodeRecords(payload);
    else if (type === SECTION.sealed && !ended) {
      const { part, last } = openPart(file, key, number++, payload);
      const records = proved(part, pending ?? []);
      pending = undefined;
      ended = last;
      if (last) requireCounts(part, counts);
      else {
        counts.set(part.table, (counts.get(part.table) ?? 0) + part.rows.length);
        for (const record of records) if (record.erased) erased.push(record.id);
        yield { table: part.table, rows: part.rows, records };
      }
    } else throw invalidBackup();
  }
  if (!ended || pending) throw invalidBackup();
  return { erased, tombstones };
}

/** Opens the first section: the header beside it can be believed then. @throws KeywardError `KEYS_BACKUP_INVALID` */
export async function proveHeader(file: BackupFile, key: DataKey): Promise<void> {
  const parts = readParts(file, key);
  await parts.next();
}

function openPart(
  file: BackupFile,
  key: DataKey,
  number: number,
  payload: Buffer,
): { part: BackupPart; last: boolean } {
  for (const last of [false, true]) {
    const part = tryOpen(key, sectionAad(file.head, number, last), payload);
    if (part && (part.table === END) === last) return { part, last };
  }
  throw invalidBackup();
}

function tryOpen(key: DataKey, aad: Uint8Array, payload: Buffer): BackupPart | undefined {
  try {
    const plaintext = openBytes(key, aad, payload);
    try {
      return backupPart.parse(JSON.parse(plaintext.toString('utf8')));
    } finally {
      plaintext.fill(0);
    }
  } catch {
    return undefined;
  }
}

/** An erased record has no digest to compare: a certificate must speak for it, which is the restorer's check. */
function proved({ rows, digests = [] }: BackupPart, records: readonly KeyRecord[]): readonly KeyRecord[] {
  const fits =
    digests.length === records.length &&
    (records.length === 0 || records.length === rows.length) &&
    records.every((record, index) => record.erased || recordDigest(record) === digests[index]);
  if (!fits) throw invalidBackup();
  return records;
}

function requireCounts({ rows }: BackupPart, counts: ReadonlyMap<string, number>): void {
  if (rows[0] !== JSON.stringify(Object.fromEntries(counts))) throw invalidBackup();
}
