/** The two keys a ledger writes with: the pseudonym key, and the day key its bodies are sealed under. */
import type { KeyService } from '@keyward/sdk/client';
import type { DataKey } from '@keyward/sdk/seal';
import { type Clock, newUuid } from '../core/index.ts';

export interface LedgerKeys {
  readonly pseudonym: DataKey;
  readonly day: DataKey;
}

export interface KeyringInputs {
  readonly keys: KeyService;
  readonly tenant: string;
  readonly clock: Clock;
  readonly deadlineMs: number;
}

/** Keys for so many entries. */
export type Keyring = (entries: number) => Promise<LedgerKeys>;

/**
 * Keys of the current UTC day. Nothing is kept here: how long an opened key lives, and how often it is used, is the bound of
 * the `keys` given, a cache. Callers of one moment share one request, which counts the entries of all of them; one that takes
 * longer than `deadlineMs` fails for all of them.
 */
export function createKeyring({ keys, tenant, clock, deadlineMs }: KeyringInputs): Keyring {
  let gathered: { readonly day: string; entries: number } | undefined;
  let asked: Promise<LedgerKeys>;
  const ask = async (moment: { readonly day: string; readonly entries: number }) => {
    await Promise.resolve();
    if (gathered === moment) gathered = undefined;
    return within(deadlineMs, askFor(keys, tenant, moment.day, moment.entries));
  };
  return (entries) => {
    const day = clock.now().toISOString().slice(0, 'YYYY-MM-DD'.length);
    if (gathered?.day === day) {
      gathered.entries += entries;
      return asked;
    }
    gathered = { day, entries };
    asked = ask(gathered);
    return asked;
  };
}

/** An entry is one body under the day's key, and names at most a few people by pseudonym. */
async function askFor(keys: KeyService, tenant: string, day: string, entries: number): Promise<LedgerKeys> {
  const use = { tenant, subjects: [], purpose: 'SYSTEM', correlationId: newUuid() };
  const specs = [{ kind: 'pseudonym' }, { kind: 'ledger', day }] as const;
  const [pseudonym, dayKey] = await keys.protect(specs, use, [entries, entries]);
  if (!pseudonym || !dayKey) throw new TypeError('the key service returned fewer keys than were asked for');
  return { pseudonym, day: dayKey };
}

function within<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the key service did not answer in time')), deadlineMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
