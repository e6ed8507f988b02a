/** One request for keys from question to answer: find, check, record, open. In this order: no record, no key. */
import { type KeyOperation, type KeySpec, type KeyUse, scopeOf } from '@keyward/sdk/client';
import type { DataKey, KeyId } from '@keyward/sdk/seal';
import { asKeywardError, type ErrorCode, KeywardError } from '../core/index.ts';
import type { KeyAccess, TouchedKey } from './access-events.ts';
import type { DataKeys, StoredKey } from './data-keys.ts';
import { type Caller, mayUse } from './grants.ts';
import { permits } from './lifecycle.ts';

/** Writes down what happens at the desk. */
export interface Witness {
  /** Keys leave only after this resolved. */
  permitted(access: KeyAccess): Promise<void>;
  /** Never throws: the refusal stands whether or not it could be recorded. */
  refused(access: KeyAccess, code: ErrorCode): Promise<void>;
}

export interface KeyRequest {
  readonly caller: Caller;
  readonly operation: KeyOperation;
  readonly use: KeyUse;
  /** What the caller named, for the record of a refusal. */
  readonly asked: readonly TouchedKey[];
  /** The stored keys in the order of the request. */
  find(): Promise<StoredKey[]>;
}

/** Refusals that are recorded; the other errors mean that database or ledger could not be reached at all. */
const RECORDED: readonly ErrorCode[] = [
  'KEYS_FORBIDDEN',
  'KEYS_UNKNOWN_KEY',
  'KEYS_STATE_REFUSED',
  'KEYS_NOT_AUTHENTIC',
  'KEYS_ROOT_MISMATCH',
];

export async function serveKeys(dataKeys: DataKeys, witness: Witness, request: KeyRequest): Promise<DataKey[]> {
  const { caller, operation, use, asked } = request;
  try {
    const stored = await request.find();
    for (const key of stored) requirePermitted(key, caller, operation);
    await witness.permitted({ caller, operation, use, keys: stored.map(touched) });
    return await openAll(dataKeys, stored);
  } catch (error) {
    const { code } = asKeywardError(error);
    if (RECORDED.includes(code)) await witness.refused({ caller, operation, use, keys: asked }, code);
    throw error;
  }
}

/** Originator use: the active key of each spec, made where there is none. */
export function protectRequest(dataKeys: DataKeys, caller: Caller, specs: readonly KeySpec[], use: KeyUse): KeyRequest {
  const asked = specs.map((spec) => (spec.kind === 'subject' ? { subject: spec.subject } : {}));
  const find = async () => {
    for (const spec of specs) requireGrant(caller, spec.kind, scopeOf(spec));
    const byName = await findOrCreate(dataKeys, specs);
    return specs.map((spec) => byName.get(nameOf(spec.kind, scopeOf(spec))) ?? refuse('KEYS_STATE_REFUSED'));
  };
  return { caller, operation: 'protect', use, asked, find };
}

/** Recipient use: the keys that ciphertexts name. */
export function processRequest(dataKeys: DataKeys, caller: Caller, ids: readonly KeyId[], use: KeyUse): KeyRequest {
  const find = async () => {
    const stored = await dataKeys.findByIds([...new Set(ids)]);
    const byId = new Map(stored.map((key) => [key.id, key]));
    return ids.map((id) => byId.get(id) ?? refuse('KEYS_UNKNOWN_KEY'));
  };
  return { caller, operation: 'process', use, asked: ids.map((id) => ({ id })), find };
}

/** Where no key appears even after making it, no KEK was in a state to wrap one. */
async function findOrCreate(dataKeys: DataKeys, specs: readonly KeySpec[]): Promise<Map<string, StoredKey>> {
  const wanted = new Map(specs.map((spec) => [nameOf(spec.kind, scopeOf(spec)), spec]));
  const found = new Map<string, StoredKey>();
  const findMore = async (more: readonly KeySpec[]) => {
    for (const key of await dataKeys.findActive(more)) found.set(nameOf(key.kind, key.scope), key);
  };
  await findMore([...wanted.values()]);
  const missing = [...wanted].filter(([name]) => !found.has(name)).map(([, spec]) => spec);
  if (missing.length === 0) return found;
  await dataKeys.create(missing);
  await findMore(missing);
  return found;
}

const nameOf = (kind: string, scope: string): string => `${kind} ${scope}`;

/** The states of a data key and of the KEK over it both count; opening a data key is recipient use of the KEK. */
function requirePermitted(key: StoredKey, caller: Caller, operation: KeyOperation): void {
  requireGrant(caller, key.kind, key.scope);
  if (!permits(key.state, operation) || !permits(key.kekState, 'process')) refuse('KEYS_STATE_REFUSED');
}

function requireGrant(caller: Caller, kind: string, scope: string): void {
  if (!mayUse(caller, kind, scope)) refuse('KEYS_FORBIDDEN');
}

function refuse(code: ErrorCode): never {
  throw new KeywardError(code);
}

const touched = ({ id, kind, scope }: StoredKey): TouchedKey => ({
  id,
  subject: kind === 'subject' ? scope : undefined,
});

async function openAll(dataKeys: DataKeys, stored: readonly StoredKey[]): Promise<DataKey[]> {
  const opened = new Map<KeyId, DataKey>();
  for (const key of new Set(stored)) opened.set(key.id, await dataKeys.open(key));
  return stored.map(({ id }) => opened.get(id)!);
}
