/** Asks for the keys of a request, and states for whom, for whose data and why. */
import { type KeySpec, type KeyUse, MAX_KEYS_PER_CALL } from '@keyward/sdk/client';
import type { DataKey, KeyId } from '@keyward/sdk/seal';
import { asKeywardError, KeywardError } from '../core/index.ts';
import { type Exchange, known } from './exchange.ts';

/** What of a request its key calls are made from. */
type Asker = Pick<Exchange, 'gateway' | 'principal' | 'correlationId'>;

/** Scopes as the gateway mints them. Others, the tenant's or one that somebody made up, name no patient of ours. */
const SUBJECT = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** As the custodian checks and records it. @param scopes of the data that the keys are for */
export const keyUse = ({ gateway, principal, correlationId }: Asker, scopes: Iterable<string> = []): KeyUse => ({
  tenant: gateway.tenant,
  subjects: [...new Set(scopes)].filter((scope) => SUBJECT.test(scope)),
  purpose: principal?.purpose ?? 'SYSTEM',
  correlationId,
  ...(principal ? { actor: principal.sub, issuer: principal.issuer } : {}),
});

/**
 * The keys to write with, in order; each patient that a spec names is stated.
 * @param seals how many values will be sealed or indexed with each, in order
 */
export const keysToProtect = (
  asker: Asker,
  specs: readonly KeySpec[],
  seals: readonly number[] = specs.map(() => 1),
): Promise<DataKey[]> =>
  inCalls(specs, (part, from) => {
    const scopes = part.flatMap((spec) => (spec.kind === 'subject' ? [spec.subject] : []));
    return asker.gateway.keys.protect(part, keyUse(asker, scopes), seals.slice(from, from + part.length));
  });

/** The keys for these seals and indexes, counted by spec; one call for all of them. */
export async function keysForSeals(
  asker: Asker,
  counts: Iterable<readonly [spec: KeySpec, seals: number]>,
): Promise<(spec: KeySpec) => DataKey> {
  const wanted = new Map<string, { readonly spec: KeySpec; seals: number }>();
  for (const [spec, seals] of counts) {
    const name = JSON.stringify(spec);
    const want = wanted.get(name);
    if (want) want.seals += seals;
    else wanted.set(name, { spec, seals });
  }
  const wants = [...wanted.values()];
  const keys = await keysToProtect(
    asker,
    wants.map(({ spec }) => spec),
    wants.map(({ seals }) => seals),
  );
  const held = new Map([...wanted.keys()].map((name, at) => [name, keys[at]]));
  return (spec) => known(held.get(JSON.stringify(spec)), 'key');
}

/** A key that stored data names, and the scope under which that data stands. */
export interface NamedKey {
  readonly keyId: KeyId;
  readonly scope: string;
}

/**
 * The keys that stored data names, by id. A scope has keys of its own: where one key is named under two scopes, or is not the
 * key of its scope, data was moved.
 * @throws KeywardError `SEAL_NOT_AUTHENTIC`, also for a key that nobody holds: such a token was made by somebody
 */
export async function keysToOpen(asker: Asker, named: readonly NamedKey[]): Promise<ReadonlyMap<KeyId, DataKey>> {
  const scopes = new Map<KeyId, string>();
  for (const { keyId, scope } of named) {
    if ((scopes.get(keyId) ?? scope) !== scope) throw new KeywardError('SEAL_NOT_AUTHENTIC');
    scopes.set(keyId, scope);
  }
  const keys = await inCalls([...scopes], async (part) => {
    const [ids, stated] = [part.map(([id]) => id), part.map(([, scope]) => scope)];
    return asker.gateway.keys.process(ids, keyUse(asker, stated));
  }).catch((thrown: unknown) => {
    const error = asKeywardError(thrown);
    throw TAMPERED.has(error.code) ? new KeywardError('SEAL_NOT_AUTHENTIC', { cause: thrown }) : error;
  });
  return new Map(keys.map((key) => [key.id, key]));
}

const TAMPERED: ReadonlySet<string> = new Set(['KEYS_UNKNOWN_KEY', 'KEYS_FORBIDDEN', 'KEYS_USE_REFUSED']);

/** A call states no more subjects than it asks for keys, so that it stays within what one call may hold. */
async function inCalls<T>(
  all: readonly T[],
  call: (part: readonly T[], from: number) => Promise<DataKey[]>,
): Promise<DataKey[]> {
  const keys: DataKey[] = [];
  for (let from = 0; from < all.length; from += MAX_KEYS_PER_CALL)
    keys.push(...(await call(all.slice(from, from + MAX_KEYS_PER_CALL), from)));
  return keys;
}
