/** A key service that remembers: opened data keys for a bounded time, number of handouts, of seals and of keys. */
import type { KeyId } from '../seal/index.ts';
import { ClientError, KEY_REFUSALS } from './errors.ts';
import { createLeases, type Draw, type LeaseBounds, type Leases } from './leases.ts';
import type { NewsListener } from './news.ts';
import { scopeOf } from './spec.ts';
import type { GrantedKey, HandedKey, KeyService, KeySource, KeySpec, KeyUse } from './types.ts';

export interface KeyCacheOptions extends LeaseBounds {
  /** Milliseconds since any fixed moment; never goes back. */
  readonly now: () => number;
}

export interface KeyCacheStats {
  /** Keys held now. */
  readonly keys: number;
  /** Keys served from the cache since the start; one that a call names twice counts once. */
  readonly hits: number;
  /** Keys that were asked for, or waited for, since the start. */
  readonly misses: number;
}

/** What `forget` and `clear` drop is not held any more; what is on its way serves those who wait for it and is not kept. */
export interface KeyCache extends KeyService, NewsListener {
  stats(): KeyCacheStats;
}

interface Shelf {
  readonly leases: Leases;
  /** Keys on their way, by name. */
  readonly flights: Map<string, Promise<HandedKey>>;
  readonly now: () => number;
  hits: number;
  misses: number;
}

/** Seals asked for at once when none are left: so many are lost at most when a process ends. */
const BLOCK_SEALS = 65_536;

/**
 * Concurrent callers that miss the same key share one call, and all misses of one caller go in one call. The custodian
 * records the purpose of who asked first; which keys later readers used stands in the ledger entries of their own process.
 * Failures are not kept: while the custodian is down, held keys serve until their bound and other calls fail with its error.
 */
export function createKeyCache(source: KeySource, options: KeyCacheOptions): KeyCache {
  const { now } = options;
  const shelf: Shelf = { leases: createLeases(options, now), flights: new Map(), now, hits: 0, misses: 0 };
  return {
    protect: (specs, use, seals) =>
      take(
        shelf,
        askedFor(specs, specName, (at) => seals?.[at] ?? 1),
        {
          use,
          fetch: (missing, asks) => source.protect(missing, use, asks),
        },
      ),
    process: (ids, use) =>
      take(
        shelf,
        askedFor(ids, idName, () => 0),
        {
          use,
          fetch: async (missing) => withoutSeals(await source.process(missing, use)),
        },
      ),
    forget({ ids, specs }) {
      const names = new Set([...specs.map(protectName), ...ids.map(idName)]);
      shelf.leases.drop(names, new Set(ids));
      for (const name of names) shelf.flights.delete(name);
      // Which ids answers that are on their way will have, nobody knows yet.
      if (ids.length > 0) for (const name of shelf.flights.keys()) if (isProtect(name)) shelf.flights.delete(name);
    },
    clear() {
      shelf.leases.clear();
      shelf.flights.clear();
    },
    stats: () => ({ keys: shelf.leases.size(), hits: shelf.hits, misses: shelf.misses }),
  };
}

/** Protecting and processing are two permissions: a key held for one does not serve the other. */
const protectName = ({ kind, scope }: { readonly kind: string; readonly scope: string }) => `protect ${kind} ${scope}`;
const specName = (spec: KeySpec): string => protectName({ kind: spec.kind, scope: scopeOf(spec) });
const idName = (id: KeyId): string => `process ${id}`;
const isProtect = (name: string): boolean => name.startsWith('protect ');

const withoutSeals = (keys: readonly HandedKey[]): GrantedKey[] => keys.map((key) => ({ ...key, seals: 0 }));

/** One call, and how to fetch what it misses. */
interface Call<T> {
  readonly use: KeyUse;
  readonly fetch: (wanted: readonly T[], asks: readonly number[]) => Promise<GrantedKey[]>;
}

/** A patient's key goes only to who stated that patient; to others the custodian refuses it, and records that. */
const covers = ({ subjects }: KeyUse, { subject }: HandedKey): boolean =>
  subject === undefined || subjects.includes(subject);

/** What one call asks for under one name: how often, and for how many seals. */
interface Want<T> extends Draw {
  readonly name: string;
  readonly item: T;
}

async function take<T>(shelf: Shelf, { items, wants, nameOf }: Asked<T>, call: Call<T>): Promise<HandedKey[]> {
  const found = new Map<string, HandedKey>();
  const missing: Want<T>[] = [];
  for (const want of wants) {
    const key = takeHeld(shelf, want, call.use);
    if (key) found.set(want.name, key);
    else missing.push(want);
  }
  shelf.hits += found.size;
  shelf.misses += missing.length;
  if (missing.length > 0) await fetchMissing(shelf, missing, call, found);
  return items.map((item) => found.get(nameOf(item))!);
}

function takeHeld<T>({ leases }: Shelf, want: Want<T>, use: KeyUse): HandedKey | undefined {
  const key = leases.take(want.name, want);
  return key && covers(use, key) ? key : undefined;
}

interface Asked<T> {
  readonly items: readonly T[];
  /** One for each name. */
  readonly wants: Iterable<Want<T>>;
  readonly nameOf: (item: T) => string;
}

function askedFor<T>(items: readonly T[], nameOf: (item: T) => string, sealsOf: (at: number) => number): Asked<T> {
  const wants = new Map<string, Want<T>>();
  for (const [at, item] of items.entries()) {
    const name = nameOf(item);
    const { handouts = 0, seals = 0 } = wants.get(name) ?? {};
    wants.set(name, { name, item, handouts: handouts + 1, seals: seals + sealsOf(at) });
  }
  return { items, wants: wants.values(), nameOf };
}

/** Adds to `found` what others are already fetching and what this call fetches itself. */
async function fetchMissing<T>(
  shelf: Shelf,
  missing: readonly Want<T>[],
  call: Call<T>,
  found: Map<string, HandedKey>,
): Promise<void> {
  const joined = missing.filter(({ name }) => shelf.flights.has(name));
  const own = missing.filter(({ name }) => !shelf.flights.has(name));
  const awaited = joined.map(({ name }) => shelf.flights.get(name)!);
  const departed = depart(shelf, own, call);
  const [left] = await Promise.all([join(shelf, joined, awaited, call.use, found), land(own, departed, found)]);
  await land(left, depart(shelf, left, call), found);
}

/**
 * Waits for the calls of others. What is returned is still to be fetched: what they were refused, for it may have been because
 * of another of their keys or of what they stated; and keys that do not bear what this caller takes of them too.
 */
async function join<T>(
  shelf: Shelf,
  wants: readonly Want<T>[],
  flights: readonly Promise<HandedKey>[],
  use: KeyUse,
  found: Map<string, HandedKey>,
): Promise<Want<T>[]> {
  const results = await Promise.allSettled(flights);
  return wants.filter((want, at) => {
    const result = results[at]!;
    if (result.status === 'rejected' && !isKeyRefusal(result.reason)) throw result.reason;
    const key = takeHeld(shelf, want, use);
    if (key) found.set(want.name, key);
    return key === undefined;
  });
}

async function land<T>(
  wants: readonly Want<T>[],
  flights: readonly Promise<HandedKey>[],
  found: Map<string, HandedKey>,
) {
  const keys = await Promise.all(flights);
  for (const [at, { name }] of wants.entries()) found.set(name, keys[at]!);
}

const isKeyRefusal = (thrown: unknown): boolean =>
  thrown instanceof Error && (KEY_REFUSALS as readonly unknown[]).includes((thrown as { code?: unknown }).code);

/** One call for all; others may join it until it lands. What was dropped meanwhile is handed over, but not kept. */
function depart<T>(shelf: Shelf, wants: readonly Want<T>[], { fetch }: Call<T>): Promise<HandedKey>[] {
  if (wants.length === 0) return [];
  const sinceMs = shelf.now();
  const fetched = fetch(
    wants.map(({ item }) => item),
    wants.map((want) => sealsToAsk(shelf, want)),
  );
  return wants.map((want, at) => {
    const { name } = want;
    const flight = fetched.then((keys) => keys[at] ?? missingKey());
    const arrive = (key?: GrantedKey) => {
      if (shelf.flights.get(name) !== flight) return;
      shelf.flights.delete(name);
      if (key) shelf.leases.put(name, key, sinceMs, want);
    };
    shelf.flights.set(name, flight);
    flight.then(arrive, () => arrive());
    return flight;
  });
}

/** No more than it needs while seals are left from before: the key that comes may be another one, which they are not for. */
function sealsToAsk({ leases }: Shelf, { name, seals }: Draw & { readonly name: string }): number {
  return leases.sealsLeft(name) >= seals ? seals : Math.max(seals, BLOCK_SEALS);
}

function missingKey(): never {
  throw new ClientError('KEYS_NOT_AUTHENTIC');
}
