/** What the states of a key and of its KEK say to one use of it, and what an accepted risk changes about that. */
import type { KeyKind, KeyOperation } from '@keyward/sdk/client';
import type { KeyId } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { KeyAccess } from './access-events.ts';
import type { StoredKey } from './data-keys.ts';
import type { Caller } from './grants.ts';
import { permission, permits } from './lifecycle.ts';

export interface RefusedAccess extends Omit<KeyAccess, 'keys'> {
  readonly keys: readonly StoredKey[];
}

/** What is asked only about keys that their states alone do not permit. */
export interface Exceptions {
  /** Of these keys those whose risk was accepted, and by which acceptances. */
  accepted(keys: readonly StoredKey[]): Promise<ReadonlyMap<KeyId, readonly string[]>>;
  /** Somebody asked for keys that he does not get. Never throws: the refusal stands. */
  asked(access: RefusedAccess): Promise<void>;
}

type Use = Pick<KeyAccess, 'caller' | 'operation' | 'use'>;

/** @throws KeywardError `KEYS_STATE_REFUSED` when one of them is not to be used so */
export async function requireStates<Key extends StoredKey>(
  exceptions: Exceptions,
  { caller, operation, use }: Use & { readonly caller: Caller; readonly operation: KeyOperation },
  keys: readonly Key[],
): Promise<readonly (Key & { readonly acceptances?: readonly string[] })[]> {
  const doubtful = keys.filter((key) => verdictOn(key, operation) !== 'yes');
  if (doubtful.length === 0) return keys;
  const open = doubtful.filter((key) => verdictOn(key, operation) === 'policy');
  const accepted = open.length > 0 ? await exceptions.accepted(open) : new Map<KeyId, readonly string[]>();
  const refused = doubtful.filter(({ id }) => !accepted.has(id));
  if (refused.length > 0) {
    await exceptions.asked({ caller, operation, use, keys: refused });
    throw new KeywardError('KEYS_STATE_REFUSED');
  }
  return keys.map((key) => ({ ...key, ...acceptancesOf(accepted.get(key.id)) }));
}

const acceptancesOf = (acceptances: readonly string[] | undefined) => (acceptances ? { acceptances } : {});

/** What every process writes its ledger entries with, which comes before whatever else it does. */
const RECORDS: ReadonlySet<string> = new Set<KeyKind>(['ledger', 'pseudonym']);

/**
 * Opening a data key is recipient use of the KEK over it. An accepted risk opens data of before, and protects nothing new: so
 * under a KEK that is not beyond doubt no data key protects either. Except what the ledger is written with, in every process:
 * else nobody could record that he ends a suspension or makes the next KEK, and so could not do it.
 */
function verdictOn(key: StoredKey, operation: KeyOperation): 'yes' | 'no' | 'policy' {
  if (key.destruction !== null) return 'no';
  const own = permission(key.state, operation);
  const kek = permission(key.kekState, 'process');
  if (own === 'no' || kek === 'no') return 'no';
  if (permits(key.state, operation) && kek === 'yes') return 'yes';
  if (operation === 'process') return 'policy';
  return RECORDS.has(key.kind) ? 'yes' : 'no';
}
