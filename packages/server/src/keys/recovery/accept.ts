/** Accepts a key database that was put back: by the quorum of a backup's share holders, while no custodian runs. */
import type { Pool } from 'pg';
import { type Clock, KeywardError } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import { createKeks } from '../keks.ts';
import type { Root } from '../roots/root.ts';
import { readHighWater, writeHighWater } from './high-water.ts';
import { readInstallation } from './installation.ts';
import { type BackupFile, proveHeader } from './reader.ts';
import { joinShares, type Share } from './shares.ts';
import { putOffDestructions, type WaitingAnew } from './second-thoughts.ts';
import { distrustCounters, growBeyond, noteRecovery } from './trust.ts';

export interface AcceptOptions {
  readonly pool: Pool;
  readonly root: Root;
  readonly tenant: string;
  readonly clock: Clock;
  /** As of a restore. */
  readonly waitingMs: number;
  readonly directory: string;
  /** Any backup of this installation, and enough of its shares: they prove who decides, nothing is taken from it. */
  readonly file: BackupFile;
  readonly shares: readonly Share[];
}

/**
 * What was changed since is lost: keys that were destroyed may be there again, and have to be destroyed again. Destructions that
 * wait in it wait anew, since each could have been cancelled or held meanwhile.
 * @throws KeywardError `KEYS_BACKUP_INVALID` when the quorum is not that of this installation
 */
export async function acceptRollback(options: AcceptOptions): Promise<readonly WaitingAnew[]> {
  const { pool, root, tenant, clock, directory, file, shares, waitingMs } = options;
  // A header alone could be made up: the shares' key must have sealed the file that it stands in.
  await proveHeader(file, await joinShares(file.header, shares));
  const current = await readInstallation(pool, tenant);
  if (!current || file.header.installation !== current.id || file.header.tenant !== tenant)
    throw new KeywardError('KEYS_BACKUP_INVALID', { detail: 'The backup is of another installation.' });
  const noted = await readHighWater(directory).catch(() => undefined);
  const waiting = await withTransaction(pool, async (client) => {
    await distrustCounters(client, tenant);
    await growBeyond(client, tenant, BigInt(noted?.generation ?? 0));
    const about = { backup: file.header.backup, at: clock.now() };
    await noteRecovery(client, tenant, { what: 'rollback-accepted', ...about });
    return putOffDestructions(client, tenant, { ...about, waitingMs });
  });
  const accepted = await readInstallation(pool, tenant);
  const version = accepted?.openKekVersion;
  if (!accepted || version === undefined) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  const key = await createKeks({ pool, root, tenant, clock }).open(version);
  await writeHighWater(directory, tenant, accepted, { version, key });
  return waiting;
}
