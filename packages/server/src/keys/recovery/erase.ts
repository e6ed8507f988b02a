/** Erases keys from the backups in the backup directory: a crypto-shred must reach them (K11). */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataKey, KeyId } from '@keyward/sdk/seal';
import type { ClientBase, Pool } from 'pg';
import {
  asKeywardError,
  type Clock,
  DURABLE_FILE,
  KeywardError,
  NEW_DURABLE_FILE,
  renameDurably,
} from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import type { DataKeys } from '../data-keys.ts';
import { query } from '../query.ts';
import { lockBackups } from './drafts.ts';
import { ERASURE_KIND, writeTombstone } from './erasure-keys.ts';
import { BACKUP_ENDING, SECTION, SECTION_HEAD_BYTES, sectionHead } from './format.ts';
import { type BackupFile, openBackup } from './reader.ts';
import { decodeRecords, eraseRecords } from './records.ts';

export interface EraseDeps {
  readonly pool: Pool;
  readonly tenant: string;
  readonly dataKeys: Pick<DataKeys, 'findByIds' | 'open'>;
  readonly clock: Clock;
  readonly directory: string;
}

export interface Erasure {
  /** Backups that were rewritten, with the SHA-256 of what the file is now. */
  readonly rewritten: readonly { readonly backup: string; readonly digest: string }[];
  /** Backups that were made here and could not be reached, and why: whoever keeps them has to destroy or erase them. */
  readonly notReached: readonly { readonly backup: string; readonly why: 'missing' | 'unreadable' }[];
}

export type EraseFromBackups = (ids: readonly KeyId[], tombstone: unknown) => Promise<Erasure>;

/** Done twice it is as done once; a file that was reached stays reached when the next one fails. */
export function createEraseFromBackups(deps: EraseDeps): EraseFromBackups {
  return async (ids, tombstone) => {
    const wanted = new Set(ids);
    const statement = JSON.stringify(tombstone);
    const { made, files } = await backupsThere(deps);
    const rewritten: Erasure['rewritten'][number][] = [];
    const notReached: Erasure['notReached'][number][] = [];
    for (const backup of new Set([...made, ...files.keys()])) {
      const path = files.get(backup);
      if (path === undefined) notReached.push({ backup, why: 'missing' });
      else
        try {
          const digest = await eraseIn(deps, path, backup, wanted, statement);
          if (digest !== undefined) rewritten.push({ backup, digest });
        } catch (error) {
          // A full disk or a missing right ends: until then there is no certificate, and the next round tries again.
          if (asKeywardError(error).code !== 'KEYS_BACKUP_INVALID') throw error;
          notReached.push({ backup, why: 'unreadable' });
        }
    }
    return { rewritten, notReached };
  };
}

/** A backup that gets its name later finds that the keys are destroyed. */
const backupsThere = (deps: EraseDeps) =>
  withTransaction(deps.pool, async (client) => {
    await lockBackups(client, deps.tenant);
    return { made: await backupsMade(client, deps.tenant), files: await filesByBackup(deps) };
  });

async function backupsMade(client: ClientBase, tenant: string): Promise<string[]> {
  const select = 'SELECT id FROM key_backup WHERE tenant = $1 ORDER BY made_at';
  return (await client.query<{ id: string }>(select, [tenant])).rows.map(({ id }) => id);
}

/** Of this tenant, by what the file says itself: somebody may have given it another name, or its row may be missing. */
async function filesByBackup({ directory, tenant }: EraseDeps): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const found = new Map<string, string>();
  for (const name of names.filter((each) => each.endsWith(BACKUP_ENDING))) {
    const path = join(directory, name);
    const backup = await openBackup(path).catch(() => undefined);
    if (!backup) continue;
    await using file = backup;
    if (file.header.tenant === tenant) found.set(file.header.backup, path);
  }
  return found;
}

/** The digest of the file as it is then; undefined where the backup never had one of these keys. */
async function eraseIn(
  deps: EraseDeps,
  path: string,
  backup: string,
  wanted: ReadonlySet<KeyId>,
  statement: string,
): Promise<string | undefined> {
  const key = await erasureKey(deps, backup);
  const draft = `${path}.erasing`;
  try {
    const copy = await copyWithout(path, draft, wanted, (ids) =>
      writeTombstone(key, backup, { ids: [...ids], at: deps.clock.now().toISOString(), statement }),
    );
    if (copy.erased.length === 0) return copy.erasedBefore ? copy.digest : undefined;
    await using old = await open(path, DURABLE_FILE);
    renameDurably(draft, path);
    await zero(old, copy.places);
    return copy.digest;
  } finally {
    await rm(draft, { force: true });
  }
}

/** The first of its scope, which the backup carries, whatever became of it since. */
const SELECT_ERASURE_KEY = `
  SELECT encode(id, 'hex') AS id FROM data_key WHERE tenant = $1 AND kind = $2 AND scope = $3 ORDER BY created_at LIMIT 1`;

async function erasureKey({ pool, tenant, dataKeys }: EraseDeps, backup: string): Promise<DataKey> {
  const rows = await query<{ id: KeyId }>(pool, SELECT_ERASURE_KEY, [tenant, ERASURE_KIND, backup]);
  const [stored] = await dataKeys.findByIds(rows.map(({ id }) => id));
  if (!stored) throw new KeywardError('KEYS_UNKNOWN_KEY');
  return dataKeys.open(stored);
}

interface Place {
  readonly at: number;
  readonly length: number;
}

interface Copy {
  /** SHA-256 of the new file. */
  readonly digest: string;
  readonly erased: readonly KeyId[];
  /** Whether one of these keys had been erased already. */
  readonly erasedBefore: boolean;
  /** Sections of the old file that held an erased key. */
  readonly places: readonly Place[];
}

async function copyWithout(
  path: string,
  draft: string,
  wanted: ReadonlySet<KeyId>,
  tombstone: (ids: readonly KeyId[]) => string,
): Promise<Copy> {
  await using file = await openBackup(path);
  await rm(draft, { force: true });
  await using output = await open(draft, NEW_DURABLE_FILE, 0o600);
  const hash = createHash('sha256');
  const write = async (bytes: Uint8Array) => {
    hash.update(bytes);
    await output.writeFile(bytes);
  };
  const copied = await copySections(file, wanted, write);
  if (copied.erased.length > 0) {
    const stone = Buffer.from(tombstone(copied.erased));
    await write(sectionHead(SECTION.tombstone, stone.length));
    await write(stone);
  }
  return { ...copied, digest: hash.digest('hex') };
}

async function copySections(
  file: BackupFile,
  wanted: ReadonlySet<KeyId>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<Omit<Copy, 'digest'>> {
  const erased: KeyId[] = [];
  const places: Place[] = [];
  let erasedBefore = false;
  let at = file.head.length;
  await write(file.head);
  for await (const { type, payload } of file.sections()) {
    if (type === SECTION.records) {
      erasedBefore ||= decodeRecords(payload).some(({ id, erased: gone }) => gone && wanted.has(id));
      const gone = eraseRecords(payload, wanted);
      erased.push(...gone);
      if (gone.length > 0) places.push({ at: at + SECTION_HEAD_BYTES, length: payload.length });
    }
    await write(sectionHead(type, payload.length));
    await write(payload);
    at += SECTION_HEAD_BYTES + payload.length;
  }
  return { erased, erasedBefore, places };
}

/**
 * The old file has no name any more, and its blocks are free; where the file system writes in place, what they held goes, too. Copies
 * that a file system, a disk or a backup of the backup kept are not reached by this.
 */
async function zero(old: FileHandle, places: readonly Place[]): Promise<void> {
  for (const { at, length } of places) await old.write(Buffer.alloc(length), 0, length, at);
}
