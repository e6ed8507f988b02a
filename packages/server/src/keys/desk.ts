/** One request for keys from question to answer: find, check, record, open. In this order: no record, no key. */
import { type KeyOperation, type KeySpec, type KeyUse, scopeOf } from '@keyward/sdk/client';
import type { DataKey, KeyId } from '@keyward/sdk/seal';
import { asKeywardError, type Clock, type ErrorCode, KeywardError } from '../core/index.ts';
import type { KeyAccess, TouchedKey } from './access-events.ts';
import type { DataKeys, StoredKey } from './data-keys.ts';
import { type Caller, mayUse, type Wanted } from './grants.ts';
import { permits } from './lifecycle.ts';

/** Writes down what happens at the desk. */
export interface Witness {
  /** Keys leave only after this resolved. */
  permitted(access: KeyAccess): Promise<void>;
  /** Never throws: the refusal stands whether or not it could be recorded. */
  refused(access: KeyAccess, code: ErrorCode): Promise<void>;
}

/** What a request is served with. */
interface Desk {
  readonly dataKeys: DataKeys;
  readonly witness: Witness;
  readonly clock: Clock;
}

export interface KeyRequest {
  readonly caller: Caller;
  readonly operation: KeyOperation;
  readonly use: KeyUse;
  /** What the caller named, for the record of a refusal. */
  readonly asked: readonly TouchedKey[];
  /** The stored keys in the order of the request. */
  find(desk: Desk): Promise<StoredKey[]>;
}

/** Refusals that are recorded; the other errors mean that database or ledger could not be reached at all. */
const RECORDED: readonly ErrorCode[] = [
  'KEYS_FORBIDDEN',
  'KEYS_UNKNOWN_KEY',
  'KEYS_STATE_REFUSED',
  'KEYS_NOT_AUTHENTIC',
  'KEYS_ROOT_MISMATCH',
];

export async function serveKeys(desk: Desk, request: KeyRequest): Promise<DataKey[]> {
  const { caller, operation, use, asked } = request;
  const { dataKeys, witness } = desk;
  try {
    const stored = await request.find(desk);
    for (const key of stored) requirePermitted(desk, request, key);
    await witness.permitted({ caller, operation, use, keys: stored });
    return await openAll(dataKeys, stored);
  } catch (error) {
    const { code } = asKeywardError(error);
    if (RECORDED.includes(code)) await witness.refused({ caller, operation, use, keys: asked }, code);
    throw error;
  }
}

/** Originator use: the active key of each spec, made where there never was one. */
export function protectRequest(caller: Caller, specs: readonly KeySpec[], use: KeyUse): KeyRequest {
  const asked = specs.map((spec) => ({ kind: spec.kind, scope: scopeOf(spec) }));
  const request: KeyRequest = {
    caller,
    operation: 'protect',
    use,
    asked,
    async find(desk) {
      for (const wanted of asked) requireGrant(desk, request, wanted);
      const found = await findOrCreate(desk, request, specs);
      return asked.map((wanted) => found.get(nameOf(wanted)) ?? refuse('KEYS_STATE_REFUSED'));
    },
  };
  return request;
}

/** Recipient use: the keys that ciphertexts name. */
export function processRequest(caller: Caller, ids: readonly KeyId[], use: KeyUse): KeyRequest {
  const find = async ({ dataKeys }: Desk) => {
    const stored = await dataKeys.findByIds([...new Set(ids)]);
    const byId = new Map(stored.map((key) => [key.id, key]));
    return ids.map((id) => byId.get(id) ?? refuse('KEYS_UNKNOWN_KEY'));
  };
  return { caller, operation: 'process', use, asked: ids.map((id) => ({ id })), find };
}

/**
 * A key that is not active is found too, and refused: a new one beside it would undo its suspension without a word. Where no
 * key appears even after making it, no KEK was in a state to wrap one.
 */
async function findOrCreate(
  desk: Desk,
  request: KeyRequest,
  specs: readonly KeySpec[],
): Promise<ReadonlyMap<string, StoredKey>> {
  const wanted = new Map(specs.map((spec) => [nameOf({ kind: spec.kind, scope: scopeOf(spec) }), spec]));
  const found = new Map<string, StoredKey>();
  const findMore = async (more: readonly KeySpec[]) => {
    for (const key of await desk.dataKeys.findBySpecs(more)) found.set(nameOf(key), key);
  };
  await findMore([...wanted.values()]);
  // Whoever is refused one key of the request makes none of the others.
  for (const key of found.values()) requirePermitted(desk, request, key);
  const missing = [...wanted].filter(([name]) => !found.has(name)).map(([, spec]) => spec);
  if (missing.length === 0) return found;
  await create(desk, request, missing);
  await findMore(missing);
  return found;
}

/**
 * Recorded before the keys exist, so that none can exist unrecorded. What is over-reported never held anything: the custodian
 * stopped in between, or another request made the key first.
 */
async function create({ dataKeys, witness }: Desk, { caller, use }: KeyRequest, specs: readonly KeySpec[]) {
  const drafts = await dataKeys.draft(specs);
  await witness.permitted({ caller, operation: 'create', use, keys: drafts });
  await dataKeys.insert(drafts);
}

const nameOf = ({ kind, scope }: Wanted): string => `${kind} ${scope}`;

/** The states of a data key and of the KEK over it both count; opening a data key is recipient use of the KEK. */
function requirePermitted(desk: Desk, request: KeyRequest, key: StoredKey): void {
  requireGrant(desk, request, key);
  if (!permits(key.state, request.operation) || !permits(key.kekState, 'process')) refuse('KEYS_STATE_REFUSED');
}

function requireGrant({ clock }: Desk, { caller, operation }: KeyRequest, wanted: Wanted): void {
  if (!mayUse(caller, operation, wanted, clock.now())) refuse('KEYS_FORBIDDEN');
}

function refuse(code: ErrorCode): never {
  throw new KeywardError(code);
}

async function openAll(dataKeys: DataKeys, stored: readonly StoredKey[]): Promise<DataKey[]> {
  const opened = new Map<KeyId, DataKey>();
  for (const key of new Set(stored)) opened.set(key.id, await dataKeys.open(key));
  return stored.map(({ id }) => opened.get(id)!);
}
