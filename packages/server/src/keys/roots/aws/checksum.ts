/**
 * A checksum behind a ciphertext blob. A blob names its key, and KMS answers damage there as it answers missing rights: with the
 * checksum a damaged row is told from a withdrawn permission. That nobody forged the blob is for KMS to prove.
 */
import { createHash } from 'node:crypto';
import { rootFailure } from '../failure.ts';

const CHECKSUM_BYTES = 8;

const checksumOf = (blob: Buffer): Buffer => createHash('sha256').update(blob).digest().subarray(0, CHECKSUM_BYTES);

export const addChecksum = (blob: Buffer): Buffer => Buffer.concat([blob, checksumOf(blob)]);

/** @throws KeywardError `KEYS_NOT_AUTHENTIC` */
export function removeChecksum(bytes: Buffer): Buffer {
  const blob = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  if (!checksumOf(blob).equals(bytes.subarray(blob.length))) throw rootFailure('KEYS_NOT_AUTHENTIC');
  return blob;
}
