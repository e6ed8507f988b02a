/** The two keys a ledger writes with: the pseudonym key, and the day key its bodies are sealed under. */
import type { KeyService } from '@keyward/sdk/client';
import type { DataKey } from '@keyward/sdk/seal';
import { type Clock, newUuid } from '../core/index.ts';

export interface LedgerKeys {
  readonly pseudonym: DataKey;
  readonly day: DataKey;
}

/**
 * Keys of the current UTC day. Nothing is kept here: how long an opened key lives, and how often it is used, is the bound of
 * the `keys` given, a cache. Callers that wait share one request; one that takes longer than `deadlineMs` fails for all of them.
 */
export function createKeyring(keys: KeyService, clock: Clock, deadlineMs: number): () => Promise<LedgerKeys> {
  let asking: { readonly day: string; readonly keys: Promise<LedgerKeys> } | undefined;
  return () => {
    const day = clock.now().toISOString().slice(0, 'YYYY-MM-DD'.length);
    if (asking?.day === day) return asking.keys;
    const asked = { day, keys: within(deadlineMs, askFor(keys, day)) };
    const forget = () => {
      if (asking === asked) asking = undefined;
    };
    asked.keys.then(forget, forget);
    asking = asked;
    return asked.keys;
  };
}

async function askFor(keys: KeyService, day: string): Promise<LedgerKeys> {
  const use = { purpose: 'SYSTEM', correlationId: newUuid() };
  const [pseudonym, dayKey] = await keys.protect([{ kind: 'pseudonym' }, { kind: 'ledger', day }], use);
  if (!pseudonym || !dayKey) throw new TypeError('the key service returned fewer keys than were asked for');
  return { pseudonym, day: dayKey };
}

function within<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the key service did not answer in time')), deadlineMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
