/**
 * The erasure key of a backup: a data key of its own, which the custodian keeps like any other and the backup carries, too. With it
 * the custodian proves that it erased a record of that backup, although it does not have the backup key any more.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { DataKey, KeyId } from '@keyward/sdk/seal';
import { z } from 'zod';
import { lengthPrefixed } from '../wrapping.ts';
import { invalidBackup } from './format.ts';

/** Kind of these keys in the table of data keys, their scope is the id of the backup. No process may ask for this kind. */
export const ERASURE_KIND = 'backup';

const LABEL = 'keyward/backup-erasure/1';

const tombstone = z.strictObject({
  /** Keys that were erased. */
  ids: z.array(z.string().regex(/^[0-9a-f]{32}$/)),
  at: z.iso.datetime(),
  /** What the life cycle said of the destruction, as JSON text. */
  statement: z.string(),
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Tombstone = z.infer<typeof tombstone>;

type Said = Omit<Tombstone, 'mac'>;

function macOf(key: DataKey, backup: string, { ids, at, statement }: Said): Buffer {
  return createHmac('sha256', key.secret)
    .update(lengthPrefixed([LABEL, backup, at, statement, ...ids]))
    .digest();
}

export const writeTombstone = (key: DataKey, backup: string, said: Said): string =>
  JSON.stringify({ ...said, mac: macOf(key, backup, said).toString('hex') });

/** @throws KeywardError `KEYS_BACKUP_INVALID` unless the custodian wrote it about this backup */
export function readTombstone(key: DataKey, backup: string, text: string): Tombstone {
  const parsed = tombstone.safeParse(parse(text));
  if (!parsed.success) throw invalidBackup();
  const mac = Buffer.from(parsed.data.mac, 'hex');
  if (!timingSafeEqual(mac, macOf(key, backup, parsed.data))) throw invalidBackup();
  return parsed.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidBackup(cause);
  }
}

/** Every erased record needs a tombstone that names it. */
export function requireTombstones(erased: readonly KeyId[], tombstones: readonly Tombstone[]): void {
  const named = new Set(tombstones.flatMap(({ ids }) => ids));
  if (!erased.every((id) => named.has(id))) throw invalidBackup();
}
