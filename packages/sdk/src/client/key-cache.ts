/** A key service that remembers: opened data keys for a bounded time, number of handouts and number of keys. */
import type { DataKey, KeyId } from '../seal/index.ts';
import { ClientError, KEY_REFUSALS } from './errors.ts';
import { createLeases, type LeaseBounds, type Leases } from './leases.ts';
import { scopeOf } from './spec.ts';
import type { KeyService, KeySpec } from './types.ts';

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

export interface KeyCache extends KeyService {
  /** Forgets every key; what is on its way serves those who wait for it and is not kept. */
  clear(): void;
  stats(): KeyCacheStats;
}

interface Shelf {
  readonly leases: Leases;
  /** Keys on their way, by name. */
  readonly flights: Map<string, Promise<DataKey>>;
  readonly now: () => number;
  hits: number;
  misses: number;
}

/**
 * Concurrent callers that miss the same key share one call, and all misses of one caller go in one call. The custodian
 * records the purpose of who asked first; which keys later readers used stands in the ledger entries of their own process.
 * Failures are not kept: while the custodian is down, held keys serve until their bound and other calls fail with its error.
 */
export function createKeyCache(service: KeyService, options: KeyCacheOptions): KeyCache {
  const { now } = options;
  const shelf: Shelf = { leases: createLeases(options, now), flights: new Map(), now, hits: 0, misses: 0 };
  return {
    protect: (specs, use) => take(shelf, specs, specName, (missing) => service.protect(missing, use)),
    process: (ids, use) => take(shelf, ids, idName, (missing) => service.process(missing, use)),
    clear() {
      shelf.leases.clear();
      shelf.flights.clear();
    },
    stats: () => ({ keys: shelf.leases.size(), hits: shelf.hits, misses: shelf.misses }),
  };
}

/** Protecting and processing are two permissions: a key held for one does not serve the other. */
const specName = (spec: KeySpec): string => `protect ${spec.kind} ${scopeOf(spec)}`;
const idName = (id: KeyId): string => `process ${id}`;

type Fetch<T> = (wanted: readonly T[]) => Promise<DataKey[]>;

/** What one call asks for under one name, and how often. */
interface Want<T> {
  readonly name: string;
  readonly item: T;
  handouts: number;
}

async function take<T>(
  shelf: Shelf,
  items: readonly T[],
  nameOf: (item: T) => string,
  fetch: Fetch<T>,
): Promise<DataKey[]> {
  const found = new Map<string, DataKey>();
  const missing: Want<T>[] = [];
  for (const want of wantsOf(items, nameOf)) {
    const key = shelf.leases.take(want.name, want.handouts);
    if (key) found.set(want.name, key);
    else missing.push(want);
  }
  shelf.hits += found.size;
  shelf.misses += missing.length;
  if (missing.length > 0) await fetchMissing(shelf, missing, fetch, found);
  return items.map((item) => found.get(nameOf(item))!);
}

function wantsOf<T>(items: readonly T[], nameOf: (item: T) => string): Iterable<Want<T>> {
  const wants = new Map<string, Want<T>>();
  for (const item of items) {
    const name = nameOf(item);
    const want = wants.get(name);
    if (want) want.handouts += 1;
    else wants.set(name, { name, item, handouts: 1 });
  }
  return wants.values();
}

/** Adds to `found` what others are already fetching and what this call fetches itself. */
async function fetchMissing<T>(
  shelf: Shelf,
  missing: readonly Want<T>[],
  fetch: Fetch<T>,
  found: Map<string, DataKey>,
): Promise<void> {
  const joined = missing.filter(({ name }) => shelf.flights.has(name));
  const own = missing.filter(({ name }) => !shelf.flights.has(name));
  const awaited = joined.map(({ name }) => shelf.flights.get(name)!);
  const departed = depart(shelf, own, fetch);
  const [refused] = await Promise.all([join(shelf, joined, awaited, found), land(own, departed, found)]);
  await land(refused, depart(shelf, refused, fetch), found);
}

/** Waits for the calls of others. What they were refused is returned: it may have been because of another of their keys. */
async function join<T>(
  shelf: Shelf,
  wants: readonly Want<T>[],
  flights: readonly Promise<DataKey>[],
  found: Map<string, DataKey>,
): Promise<Want<T>[]> {
  const results = await Promise.allSettled(flights);
  const refused: Want<T>[] = [];
  for (const [at, want] of wants.entries()) {
    const result = results[at]!;
    if (result.status === 'fulfilled') found.set(want.name, result.value);
    else if (isKeyRefusal(result.reason)) refused.push(want);
    else throw result.reason;
    shelf.leases.take(want.name, want.handouts);
  }
  return refused;
}

async function land<T>(wants: readonly Want<T>[], flights: readonly Promise<DataKey>[], found: Map<string, DataKey>) {
  const keys = await Promise.all(flights);
  for (const [at, { name }] of wants.entries()) found.set(name, keys[at]!);
}

const isKeyRefusal = (thrown: unknown): boolean =>
  thrown instanceof Error && (KEY_REFUSALS as readonly unknown[]).includes((thrown as { code?: unknown }).code);

/** One call for all; others may join it until it lands. What was cleared meanwhile is handed over, but not kept. */
function depart<T>(shelf: Shelf, wants: readonly Want<T>[], fetch: Fetch<T>): Promise<DataKey>[] {
  if (wants.length === 0) return [];
  const sinceMs = shelf.now();
  const call = fetch(wants.map(({ item }) => item));
  return wants.map(({ name, handouts }, at) => {
    const flight = call.then((keys) => keys[at] ?? missingKey());
    const arrive = (key?: DataKey) => {
      if (shelf.flights.get(name) !== flight) return;
      shelf.flights.delete(name);
      if (key) shelf.leases.put(name, key, sinceMs, handouts);
    };
    shelf.flights.set(name, flight);
    flight.then(arrive, () => arrive());
    return flight;
  });
}

function missingKey(): never {
  throw new ClientError('KEYS_NOT_AUTHENTIC');
}
