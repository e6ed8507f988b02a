/** How long a destruction waits: days, or for a rehearsal seconds. */
import type { Config, RootConfig } from '../config/index.ts';
import { KeywardError } from '../core/index.ts';

const DAY_MS = 86_400_000;
const SECOND_MS = 1000;

const isDevelopment = (root: RootConfig): boolean => root.provider === 'local' && root.passphrase === undefined;

/** A wait that is too short to call anything off is for keys that protect nothing real. @throws KeywardError `CONFIG_INVALID` */
export function destructionWaitMs({
  destruction,
  root,
  nextRoot,
}: Pick<Config['keys'], 'destruction' | 'root' | 'nextRoot'>): number {
  const { waitingDays, rehearsalSeconds } = destruction;
  if (rehearsalSeconds === undefined) return waitingDays * DAY_MS;
  if (!isDevelopment(root) || (nextRoot !== undefined && !isDevelopment(nextRoot)))
    throw new KeywardError('CONFIG_INVALID', {
      detail:
        'keys.destruction.rehearsalSeconds is for the local development root without a passphrase, and no other to move to: remove it.',
    });
  return rehearsalSeconds * SECOND_MS;
}
