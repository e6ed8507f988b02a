/** Writes a backup: parts in, sealed sections out, one at a time. */
import { type DataKey, sealBytes } from '@keyward/sdk/seal';
import {
  type BackupHeader,
  type BackupPart,
  END,
  encodeHeader,
  PART_BYTES,
  SECTION,
  sectionAad,
  sectionHead,
  type SectionType,
} from './format.ts';
import { encodeRecords, type KeyRecord, recordDigest } from './records.ts';

/** Takes the bytes of the file in order. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

export type NewRecord = Pick<KeyRecord, 'id' | 'wrapped'>;

export interface BackupWriter {
  /** The encoded header, to which everything in the file is bound. */
  readonly head: Buffer;
  rows(table: string, rows: readonly string[]): Promise<void>;
  /** Rows with a wrapped key each, in the same order. */
  keys(table: string, rows: readonly string[], records: readonly NewRecord[]): Promise<void>;
  /** The last section. */
  end(): Promise<void>;
}

export function createBackupWriter(header: BackupHeader, key: DataKey, sink: Sink): BackupWriter {
  const head = encodeHeader(header);
  const counts = new Map<string, number>();
  let number = 0;
  let begun = false;
  const write = async (type: SectionType, payload: Uint8Array) => {
    if (!begun) await sink(head);
    begun = true;
    await sink(sectionHead(type, payload.length));
    await sink(payload);
  };
  const seal = async (part: BackupPart, last: boolean) => {
    counts.set(part.table, (counts.get(part.table) ?? 0) + part.rows.length);
    const plaintext = Buffer.from(JSON.stringify(part));
    try {
      await write(SECTION.sealed, sealBytes(key, sectionAad(head, number++, last), plaintext));
    } finally {
      plaintext.fill(0);
    }
  };
  return {
    head,
    async rows(table, rows) {
      for (const { from, to } of spansOf(rows)) await seal({ table, rows: rows.slice(from, to) }, false);
    },
    async keys(table, rows, records) {
      for (const { from, to } of spansOf(rows)) {
        const these = records.slice(from, to);
        await write(SECTION.records, encodeRecords(these));
        await seal({ table, rows: rows.slice(from, to), digests: these.map(recordDigest) }, false);
      }
    },
    end: () => seal({ table: END, rows: [JSON.stringify(Object.fromEntries(counts))] }, true),
  };
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Rows of one part: as many as fit. A row that is larger than a part stands alone. */
function* spansOf(rows: readonly string[]): Generator<Span> {
  let from = 0;
  let bytes = 0;
  for (const [at, row] of rows.entries()) {
    const size = Buffer.byteLength(JSON.stringify(row));
    if (at > from && bytes + size > PART_BYTES) {
      yield { from, to: at };
      from = at;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < rows.length) yield { from, to: rows.length };
}
