/** One request for keys from question to answer: find, check, record, open. In this order: no record, no key. */
import {
  type GrantedKey,
  type HandedKey,
  type KeyOperation,
  type KeySpec,
  type KeyUse,
  scopeOf,
} from '@keyward/sdk/client';
import type { KeyId } from '@keyward/sdk/seal';
import { asKeywardError, type Clock, type ErrorCode, KeywardError } from '../core/index.ts';
import type { KeyAccess, TouchedKey } from './access-events.ts';
import type { DataKeys, StoredKey } from './data-keys.ts';
import { type Caller, mayActFor, mayUse, type Wanted } from './grants.ts';
import type { Renewal } from './jobs/renewal.ts';
import type { GrantSeals } from './seal-grants.ts';
import { type Exceptions, requireStates } from './verdicts.ts';

/** Writes down what happens at the desk. */
export interface Witness {
  /** Keys leave only after this resolved. */
  permitted(...accesses: readonly KeyAccess[]): Promise<void>;
  /** Never throws: the refusal stands whether or not it could be recorded. */
  refused(access: KeyAccess, code: ErrorCode): Promise<void>;
}

/** What a request is served with. */
interface Desk {
  readonly tenant: string;
  readonly dataKeys: DataKeys;
  readonly grantSeals: GrantSeals;
  readonly renewal: Pick<Renewal, 'renewOverdue' | 'renewExposed'>;
  readonly exceptions: Exceptions;
  readonly witness: Witness;
  readonly clock: Clock;
}

export interface KeyRequest {
  readonly caller: Caller;
  readonly operation: KeyOperation;
  readonly use: KeyUse;
  /** The subjects of its use. */
  readonly stated: ReadonlySet<string>;
  /** What the caller named, for the record of a refusal. */
  readonly asked: readonly TouchedKey[];
  /** The stored keys in the order of the request. */
  find(desk: Desk): Promise<Found>;
}

interface Found {
  readonly keys: readonly StoredKey[];
  /** Made for this request: that it gets them is recorded. */
  readonly made: ReadonlySet<StoredKey>;
}

/** Refusals that are recorded; the other errors mean that database or ledger could not be reached at all. */
const RECORDED: readonly ErrorCode[] = [
  'KEYS_FORBIDDEN',
  'KEYS_USE_REFUSED',
  'KEYS_UNKNOWN_KEY',
  'KEYS_STATE_REFUSED',
  'KEYS_EXHAUSTED',
  'KEYS_NOT_AUTHENTIC',
  'KEYS_ROOT_MISMATCH',
];

export async function serveKeys(desk: Desk, request: KeyRequest): Promise<HandedKey[]> {
  const { caller, operation, use, asked } = request;
  const { dataKeys, witness } = desk;
  try {
    if (use.tenant !== desk.tenant || !mayActFor(caller, use.purpose)) refuse('KEYS_USE_REFUSED');
    const { keys, made } = await request.find(desk);
    const permitted = await requirePermitted(
      desk,
      request,
      keys.filter((key) => !made.has(key)),
    );
    if (permitted.length > 0) await witness.permitted({ caller, operation, use, keys: permitted });
    return await openAll(dataKeys, keys);
  } catch (error) {
    const { code } = asKeywardError(error);
    if (RECORDED.includes(code)) await witness.refused({ caller, operation, use, keys: asked }, code);
    throw error;
  }
}

/** Keys to protect with, and the seals that were counted for each. */
export async function serveGranted(desk: Desk, request: ProtectRequest): Promise<GrantedKey[]> {
  const keys = await serveKeys(desk, request);
  return keys.map((key, at) => ({ ...key, seals: request.seals[at]! }));
}

interface ProtectRequest extends KeyRequest {
  readonly seals: readonly number[];
}

/** Originator use: the active key of each spec, made where there never was one. */
export function protectRequest(
  caller: Caller,
  specs: readonly KeySpec[],
  use: KeyUse,
  seals: readonly number[] = specs.map(() => 1),
): ProtectRequest {
  const asked: Wanted[] = specs.map((spec) => ({ kind: spec.kind, scope: scopeOf(spec) }));
  const request: ProtectRequest = {
    caller,
    operation: 'protect',
    seals,
    use,
    stated: new Set(use.subjects),
    asked,
    async find(desk) {
      for (const wanted of asked) requireGrant(desk, request, wanted);
      return findCounted(desk, request, asked, seals);
    },
  };
  return request;
}

/** A key that was rotated since it was found counts no more: then its successor is looked for, and counted. */
async function findCounted(
  desk: Desk,
  request: KeyRequest,
  asked: readonly Wanted[],
  seals: readonly number[],
): Promise<Found> {
  let counted: readonly KeyId[] = [];
  for (;;) {
    const { found, made } = await findOrCreate(desk, request, asked, seals);
    const keys = asked.map((each) => found.get(nameOf(each)) ?? refuse('KEYS_STATE_REFUSED'));
    await requirePermitted(desk, request, keys);
    try {
      await desk.grantSeals(
        keys,
        seals.map((count, at) => (made.has(keys[at]!) ? 0 : count)),
      );
      return { keys, made };
    } catch (error) {
      const { code } = asKeywardError(error);
      if (code !== 'KEYS_EXHAUSTED' || keys.every(({ id }) => counted.includes(id))) throw error;
      counted = keys.map(({ id }) => id);
    }
  }
}

const NONE: ReadonlySet<StoredKey> = new Set();

/** Recipient use: the keys that ciphertexts name. */
export function processRequest(caller: Caller, ids: readonly KeyId[], use: KeyUse): KeyRequest {
  const find = async ({ dataKeys }: Desk) => {
    const stored = await dataKeys.findByIds([...new Set(ids)]);
    const byId = new Map(stored.map((key) => [key.id, key]));
    return { keys: ids.map((id) => byId.get(id) ?? refuse('KEYS_UNKNOWN_KEY')), made: NONE };
  };
  const stated = new Set(use.subjects);
  return { caller, operation: 'process', use, stated, asked: ids.map((id) => ({ id })), find };
}

/**
 * A key that is not active is found too, and refused: a new one beside it would undo its suspension without a word. Where no
 * key appears even after making it, no KEK was in a state to wrap one.
 */
async function findOrCreate(
  desk: Desk,
  request: KeyRequest,
  asked: readonly Wanted[],
  seals: readonly number[],
): Promise<{ readonly found: ReadonlyMap<string, StoredKey>; readonly made: ReadonlySet<StoredKey> }> {
  const wanted = new Map(asked.map((each) => [nameOf(each), each]));
  const found = new Map<string, StoredKey>();
  const made = new Set<StoredKey>();
  const findMore = async (more: readonly Wanted[]) => {
    for (const key of await desk.dataKeys.findBySpecs(more)) found.set(nameOf(key), key);
  };
  await findMore([...wanted.values()]);
  if (await desk.renewal.renewExposed([...found.values()])) await findMore([...wanted.values()]);
  // Whoever is refused one key of the request makes none of the others.
  await requirePermitted(desk, request, [...found.values()]);
  if (await desk.renewal.renewOverdue([...found.values()])) await findMore([...wanted.values()]);
  const sealsOf = new Map<string, number>();
  for (const [at, each] of asked.entries())
    sealsOf.set(nameOf(each), (sealsOf.get(nameOf(each)) ?? 0) + (seals[at] ?? 1));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const missing = [...wanted].filter(([name]) => !found.has(name));
    if (missing.length === 0) break;
    const specs = missing.map(([, each]) => each);
    for (const key of await create(
      desk,
      request,
      specs,
      missing.map(([name]) => sealsOf.get(name) ?? 1),
    )) {
      found.set(nameOf(key), key);
      made.add(key);
    }
    const left = specs.filter((each) => !found.has(nameOf(each)));
    if (left.length > 0) await findMore(left);
  }
  return { found, made };
}

/** What was drafted under a KEK that was rotated meanwhile is not stored, and drafted again under the new one. */
const MAX_ROUNDS = 3;

/**
 * Recorded before the keys exist, so that none can exist unrecorded, together with their being handed out. What is over-reported
 * never held anything: the custodian stopped in between, or another request made the key first.
 */
async function create(
  { dataKeys, witness }: Desk,
  { caller, operation, use }: KeyRequest,
  specs: readonly Wanted[],
  seals: readonly number[],
): Promise<StoredKey[]> {
  const keys = await dataKeys.draft(specs);
  await witness.permitted({ caller, operation: 'create', use, keys }, { caller, operation, use, keys });
  return dataKeys.insert(keys, seals);
}

const nameOf = ({ kind, scope }: Wanted): string => `${kind} ${scope}`;

/** By grant and by state; what stands under an accepted risk comes back with it, for the record. */
function requirePermitted(desk: Desk, request: KeyRequest, keys: readonly StoredKey[]) {
  for (const key of keys) requireGrant(desk, request, key);
  return requireStates(desk.exceptions, request, keys);
}

/** A patient's key is for work on that patient's data: a request that does not state the patient has no business with it. */
function requireGrant({ clock }: Desk, { caller, operation, stated }: KeyRequest, wanted: Wanted): void {
  if (!mayUse(caller, operation, wanted, clock.now())) refuse('KEYS_FORBIDDEN');
  if (wanted.kind === 'subject' && !stated.has(wanted.scope)) refuse('KEYS_USE_REFUSED');
}

function refuse(code: ErrorCode): never {
  throw new KeywardError(code);
}

async function openAll(dataKeys: DataKeys, stored: readonly StoredKey[]): Promise<HandedKey[]> {
  const opened = new Map<KeyId, HandedKey>();
  for (const key of new Set(stored)) {
    const { id, kind, scope } = key;
    opened.set(id, { ...(await dataKeys.open(key)), ...(kind === 'subject' ? { subject: scope } : {}) });
  }
  return stored.map(({ id }) => opened.get(id)!);
}
