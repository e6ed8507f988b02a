/** Records of a backup: wrapped keys that stand outside the seal, each of which can be erased by itself. */
import { createHash } from 'node:crypto';
import type { KeyId } from '@keyward/sdk/seal';
import { invalidBackup } from './format.ts';

const ID_BYTES = 16;
const FLAG_OFFSET_BYTES = ID_BYTES;
const LENGTH_OFFSET_BYTES = FLAG_OFFSET_BYTES + 1;
const HEAD_BYTES = LENGTH_OFFSET_BYTES + 2;
const PRESENT = 0;
const ERASED = 1;

export interface KeyRecord {
  readonly id: KeyId;
  /** Empty for a key that was destroyed before the backup. */
  readonly wrapped: Buffer;
  readonly erased: boolean;
}

export const recordDigest = ({ id, wrapped }: Pick<KeyRecord, 'id' | 'wrapped'>): string =>
  createHash('sha256').update(id, 'hex').update(wrapped).digest('hex');

export function encodeRecords(records: readonly Pick<KeyRecord, 'id' | 'wrapped'>[]): Buffer {
  return Buffer.concat(
    records.flatMap(({ id, wrapped }) => {
      const head = Buffer.alloc(HEAD_BYTES);
      head.write(id, 'hex');
      head[FLAG_OFFSET_BYTES] = PRESENT;
      head.writeUInt16BE(wrapped.length, LENGTH_OFFSET_BYTES);
      return [head, wrapped];
    }),
  );
}

/** The wrapped bytes are views of `bytes`. @throws KeywardError `KEYS_BACKUP_INVALID` */
export function decodeRecords(bytes: Buffer): KeyRecord[] {
  const records: KeyRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < HEAD_BYTES) throw invalidBackup();
    const end = at + HEAD_BYTES + bytes.readUInt16BE(at + LENGTH_OFFSET_BYTES);
    const flag = bytes[at + FLAG_OFFSET_BYTES];
    if (end > bytes.length || (flag !== PRESENT && flag !== ERASED)) throw invalidBackup();
    const wrapped = bytes.subarray(at + HEAD_BYTES, end);
    const erased = flag === ERASED;
    // What is marked as erased and is not would be a key that a certificate says is gone.
    if (erased && wrapped.some((byte) => byte !== 0)) throw invalidBackup();
    records.push({ id: bytes.toString('hex', at, at + ID_BYTES), wrapped, erased });
    at = end;
  }
  return records;
}

/** Zeroes the records of these keys where they stand; answers the ids that were there. */
export function eraseRecords(bytes: Buffer, ids: ReadonlySet<KeyId>): KeyId[] {
  const erased: KeyId[] = [];
  for (const { id, wrapped, erased: before } of decodeRecords(bytes)) {
    if (!ids.has(id) || before || wrapped.length === 0) continue;
    wrapped.fill(0);
    bytes[wrapped.byteOffset - bytes.byteOffset - (HEAD_BYTES - FLAG_OFFSET_BYTES)] = ERASED;
    erased.push(id);
  }
  return erased;
}
