/** Backups that are being made: an erasure must find each file that gets its name, and no draft outlives the custodian that wrote it. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientBase } from 'pg';
import { BACKUP_ENDING } from './format.ts';

/** Behind the name that the file will have. */
export const DRAFT_ENDING = '.part';

const LOCK = `SELECT pg_advisory_xact_lock(hashtextextended('keyward key_backup ' || $1, 0))`;

/**
 * Held until the transaction ends, by a backup that gets its name and by an erasure that looks which there are: whichever comes
 * later sees what the other one did.
 */
export async function lockBackups(client: ClientBase, tenant: string): Promise<void> {
  await client.query(LOCK, [tenant]);
}

const COUNT_DESTROYED = `
  SELECT (SELECT count(*) FROM data_key WHERE tenant = $1 AND wrapped IS NULL)
    + (SELECT count(*) FROM kek WHERE tenant = $1 AND wrapped IS NULL) AS destroyed`;

/** It never goes back, so equal counts mean that none was destroyed in between. */
export async function countDestroyed(client: ClientBase, tenant: string): Promise<bigint> {
  const { rows } = await client.query<{ destroyed: string }>(COUNT_DESTROYED, [tenant]);
  return BigInt(rows[0]?.destroyed ?? 0);
}

/** What a custodian left behind that was killed; one beside this that is making a backup just then has to begin anew. */
export async function removeDrafts(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter((each) => each.endsWith(`${BACKUP_ENDING}${DRAFT_ENDING}`)))
    await rm(join(directory, name), { force: true });
}
