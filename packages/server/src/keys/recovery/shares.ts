/** Shares of a backup key: M of N of them give it back (Shamir 1979, over GF(2^8)), fewer tell nothing about it. */
import { createHash } from 'node:crypto';
import { createDataKey, type DataKey } from '@keyward/sdk/seal';
import { combine, split } from 'shamir-secret-sharing';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { type BackupHeader, invalidBackup } from './format.ts';

/** Names of holders stand in lines of text and in names of files. */
export const HOLDER_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** What a share says of itself; its text has one line for each, in this order, and a checksum against slips of the pen. */
const share = z.strictObject({
  backup: z.uuid(),
  installation: z.uuid(),
  /** Counts the holders from 1. */
  holder: z.coerce.number().int().min(1).max(255),
  name: z.string().regex(HOLDER_NAME),
  threshold: z.coerce.number().int().min(2).max(255),
  shares: z.coerce.number().int().min(2).max(255),
  /** Id of the backup key, which commits to it. */
  key: z.string().regex(/^[0-9a-f]{32}$/),
  share: z.string().regex(/^[A-Za-z0-9_-]{44}$/),
});
export type Share = z.infer<typeof share>;

const TITLE = 'keyward recovery share 1';
const MEMBERS = Object.keys(share.shape) as (keyof Share)[];
const CHECKSUM_DIGITS = 16;

const checksumOf = (lines: readonly string[]): string =>
  createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, CHECKSUM_DIGITS);

export function formatShare(value: Share): string {
  const lines = [TITLE, ...MEMBERS.map((member) => `${member}: ${value[member]}`)];
  return `${[...lines, `checksum: ${checksumOf(lines)}`].join('\n')}\n`;
}

/** @throws KeywardError `KEYS_BACKUP_INVALID` */
export function parseShare(text: string): Share {
  const lines = text.trimEnd().split(/\r?\n/);
  const checksum = lines.pop();
  const [title, ...rest] = lines;
  const wellFormed = title === TITLE && rest.length === MEMBERS.length && checksum === `checksum: ${checksumOf(lines)}`;
  const values = MEMBERS.map((member, index) => {
    const line = rest[index] ?? '';
    return [member, line.startsWith(`${member}: `) ? line.slice(member.length + 2) : undefined];
  });
  const parsed = share.safeParse(Object.fromEntries(values));
  if (!wellFormed || !parsed.success) throw invalidBackup();
  return parsed.data;
}

/** One share for each name, in order. */
export async function splitKey(key: DataKey, header: BackupHeader, names: readonly string[]): Promise<Share[]> {
  // The library takes a plain Uint8Array, not a Buffer.
  const exported = key.secret.export();
  const secret = Uint8Array.from(exported);
  try {
    const parts = await split(secret, names.length, header.threshold);
    return parts.map((part, index) => {
      const { backup, installation, threshold, shares } = header;
      const text = Buffer.from(part).toString('base64url');
      part.fill(0);
      return {
        backup,
        installation,
        holder: index + 1,
        name: names[index] ?? '',
        threshold,
        shares,
        key: key.id,
        share: text,
      };
    });
  } finally {
    exported.fill(0);
    secret.fill(0);
  }
}

/**
 * The backup key. Shares that do not belong together, or that were altered, give some other key, which the header's commitment refuses.
 * @throws KeywardError `KEYS_BACKUP_INVALID`
 */
export async function joinShares(header: BackupHeader, shares: readonly Share[]): Promise<DataKey> {
  const holders = new Set(shares.map(({ holder }) => holder));
  const belong = shares.every(
    ({ backup, installation, key }) =>
      backup === header.backup && installation === header.installation && key === header.key,
  );
  if (!belong) throw invalidBackup();
  if (holders.size !== shares.length || shares.length < header.threshold)
    throw new KeywardError('KEYS_BACKUP_INVALID', {
      detail: `It takes the shares of ${header.threshold} different holders.`,
    });
  const parts = shares.map((each) => Uint8Array.from(Buffer.from(each.share, 'base64url')));
  try {
    const key = createDataKey(Buffer.from(await combined(parts)));
    if (key.id === header.key) return key;
  } finally {
    for (const part of parts) part.fill(0);
  }
  throw invalidBackup();
}

async function combined(parts: Uint8Array[]): Promise<ArrayBuffer> {
  try {
    // The same memory as the library's answer, so that wiping the key wipes that, too.
    return (await combine(parts)).buffer as ArrayBuffer;
  } catch (cause) {
    throw invalidBackup(cause);
  }
}
