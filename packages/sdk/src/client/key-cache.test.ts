/** The data-key cache: what it bounds, and what concurrent callers share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataKey, generateDataKey, type KeyId } from '../seal/index.ts';
import { ClientError, type ClientErrorCode } from './errors.ts';
import { createKeyCache, type KeyCacheOptions } from './key-cache.ts';
import { scopeOf } from './spec.ts';
import type { NewsListener } from './news.ts';
import type { KeySource, KeySpec, KeyUse } from './types.ts';

const USE: KeyUse = {
  tenant: 'clinic',
  subjects: ['a'],
  purpose: 'TREAT',
  correlationId: '00000000-0000-4000-8000-000000000001',
};
const subject = (name: string): KeySpec => ({ kind: 'subject', subject: name });

/** A key service in memory: real keys, a log of its calls, and an outage on demand. */
function createSource() {
  const active = new Map<string, DataKey>();
  const byId = new Map<KeyId, DataKey>();
  const calls: string[][] = [];
  const source = {
    calls,
    /** Seals that were asked for, by call. */
    asks: [] as number[][],
    down: false,
    held: Promise.resolve() as Promise<unknown>,
    rotate: (spec: KeySpec) => void active.delete(`${spec.kind} ${scopeOf(spec)}`),
  };
  const fail = (code: ClientErrorCode) => {
    throw new ClientError(code);
  };
  const answer = async <T>(names: readonly string[], items: readonly T[], keyOf: (item: T) => DataKey) => {
    calls.push([...names]);
    await source.held;
    if (source.down) fail('KEYS_UNAVAILABLE');
    return items.map(keyOf);
  };
  const activeKey = (spec: KeySpec): DataKey => {
    const name = `${spec.kind} ${scopeOf(spec)}`;
    const key = active.get(name) ?? generateDataKey();
    active.set(name, key);
    byId.set(key.id, key);
    return key;
  };
  const service: KeySource = {
    async protect(specs, _use, seals = specs.map(() => 1)) {
      source.asks.push([...seals]);
      const keys = await answer(specs.map(scopeOf), specs, activeKey);
      return keys.map((key, at) => ({ ...key, seals: seals[at]! }));
    },
    process: (ids) => answer(ids, ids, (id) => byId.get(id) ?? fail('KEYS_UNKNOWN_KEY')),
  };
  return { source, service };
}

function setUp(bounds: Partial<KeyCacheOptions> = {}) {
  const { source, service } = createSource();
  const clock = { ms: 0 };
  const cache = createKeyCache(service, {
    maxAgeMs: 1000,
    maxHandouts: 100,
    maxKeys: 100,
    now: () => clock.ms,
    ...bounds,
  });
  return { source, service, cache, clock };
}

/** Holds every call of the source until the returned function is called. */
function hold(source: { held: Promise<unknown> }): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  source.held = promise;
  return resolve;
}

test('[K6] a key is asked for once and then served until its age is reached', async () => {
  const { cache, source, clock } = setUp();
  const [first] = await cache.protect([subject('a')], USE);
  clock.ms = 999;
  const [second] = await cache.protect([subject('a')], USE);
  assert.equal(second, first);
  assert.equal(source.calls.length, 1);
  clock.ms = 1000;
  await cache.protect([subject('a')], USE);
  assert.equal(source.calls.length, 2);
});

test('[K3] each item of a call is one handout, and a key that was handed out as often as allowed is asked for again', async () => {
  const { cache, source } = setUp({ maxHandouts: 5 });
  await cache.protect([subject('a'), subject('a'), subject('a')], USE);
  await cache.protect([subject('a'), subject('a')], USE);
  assert.equal(source.calls.length, 1);
  await cache.protect([subject('a')], USE);
  assert.deepEqual(source.calls, [['a'], ['a']]);
});

test('[K10] no more keys are held than allowed; the least recently used goes first', async () => {
  const { cache, source } = setUp({ maxKeys: 2 });
  await cache.protect([subject('a')], USE);
  await cache.protect([subject('b')], USE);
  await cache.protect([subject('a')], USE);
  await cache.protect([subject('c')], USE);
  assert.equal(cache.stats().keys, 2);
  await cache.protect([subject('a'), subject('c')], USE);
  assert.equal(source.calls.length, 3);
  await cache.protect([subject('b')], USE);
  assert.equal(source.calls.length, 4);
});

test('[K10] an idle process lets go of its keys', async () => {
  const { cache } = setUp({ maxAgeMs: 15, now: () => performance.now() });
  await cache.protect([subject('a'), subject('b')], USE);
  assert.equal(cache.stats().keys, 2);
  for (let waitedMs = 0; cache.stats().keys > 0 && waitedMs < 2000; waitedMs += 10) await sleep(10);
  assert.equal(cache.stats().keys, 0);
});

test('[K6] fifty concurrent callers of one key make one call', async () => {
  const { cache, source } = setUp();
  const answers = await Promise.all(Array.from({ length: 50 }, () => cache.protect([subject('a')], USE)));
  assert.equal(source.calls.length, 1);
  assert.equal(new Set(answers.map(([key]) => key!.id)).size, 1);
});

test('[K6] the handouts of concurrent callers all count', async () => {
  const { cache, source } = setUp({ maxHandouts: 3 });
  await Promise.all([1, 2, 3].map(() => cache.protect([subject('a')], USE)));
  await cache.protect([subject('a')], USE);
  assert.equal(source.calls.length, 2);
});

test('[K6] all misses of one call go in one call, in the order of the request', async () => {
  const { cache, source } = setUp();
  const [b] = await cache.protect([subject('b')], USE);
  const keys = await cache.protect([subject('a'), subject('b'), subject('c'), subject('a')], USE);
  assert.deepEqual(source.calls, [['b'], ['a', 'c']]);
  assert.equal(keys[1], b);
  assert.equal(keys[0], keys[3]);
  assert.notEqual(keys[0]!.id, keys[2]!.id);
});

test('[K1] a key held for protecting does not serve processing', async () => {
  const { cache, source } = setUp();
  const [key] = await cache.protect([subject('a')], USE);
  await cache.process([key!.id], USE);
  assert.equal(source.calls.length, 2);
});

test('[K6] a failed call is not kept: the next one asks again', async () => {
  const { cache, source } = setUp();
  source.down = true;
  await assert.rejects(cache.protect([subject('a')], USE), { code: 'KEYS_UNAVAILABLE' });
  source.down = false;
  assert.equal((await cache.protect([subject('a')], USE)).length, 1);
});

test('[K6] while the custodian is down, held keys serve until their bound and then fail with its code', async () => {
  const { cache, source, clock } = setUp();
  await cache.protect([subject('a')], USE);
  source.down = true;
  await cache.protect([subject('a')], USE);
  await assert.rejects(cache.protect([subject('a'), subject('b')], USE), { code: 'KEYS_UNAVAILABLE' });
  clock.ms = 1000;
  await assert.rejects(cache.protect([subject('a')], USE), { code: 'KEYS_UNAVAILABLE' });
});

test('[K6] callers that wait on a custodian that is down fail together, without a call each', async () => {
  const { cache, source } = setUp();
  source.down = true;
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => cache.protect([subject('a')], USE)));
  assert.ok(results.every(({ status }) => status === 'rejected'));
  assert.equal(source.calls.length, 1);
});

test('[K6] a caller does not fail because another asked for an unknown key next to the same one', async () => {
  const { cache, service, source } = setUp();
  const [good] = await service.protect([subject('a')], USE);
  const release = hold(source);
  const bad = cache.process([good!.id, 'f'.repeat(32)], USE);
  const fine = cache.process([good!.id], USE);
  release();
  await assert.rejects(bad, { code: 'KEYS_UNKNOWN_KEY' });
  assert.equal((await fine)[0]!.id, good!.id);
});

test('[K11] after clear nothing is held, and what was on its way is not kept', async () => {
  const { cache, source } = setUp();
  await cache.protect([subject('a')], USE);
  const release = hold(source);
  const late = cache.protect([subject('b')], USE);
  cache.clear();
  release();
  assert.equal((await late).length, 1);
  assert.equal(cache.stats().keys, 0);
  await cache.protect([subject('a'), subject('b')], USE);
  assert.deepEqual(source.calls.at(-1), ['a', 'b']);
});

const asksOf = (source: { readonly asks: readonly number[][] }) => source.asks.map(([ask]) => ask);

test('[K3] seals are asked for in blocks, counted down, and asked for again when they are used up', async () => {
  const { cache, source } = setUp();
  for (const seals of [1, 65_535, 1, 65_535]) await cache.protect([subject('a')], USE, [seals]);
  assert.deepEqual(asksOf(source), [65_536, 65_536]);
});

test('[K3] one request that needs more than a block gets it, and leaves nothing behind', async () => {
  const { cache, source } = setUp();
  await cache.protect([subject('a'), subject('a')], USE, [70_000, 30_000]);
  await cache.protect([subject('a')], USE, [1]);
  assert.deepEqual(asksOf(source), [100_000, 65_536]);
});

test('[K3] what is left of a block outlives the lease of its key, and only the need is asked for', async () => {
  const { cache, source, clock } = setUp();
  await cache.protect([subject('a')], USE, [65_000]);
  clock.ms = 1000;
  await cache.protect([subject('a')], USE, [100]);
  await cache.protect([subject('a')], USE, [536]);
  assert.deepEqual(asksOf(source), [65_536, 100]);
  await cache.protect([subject('a')], USE, [1]);
  assert.deepEqual(asksOf(source), [65_536, 100, 65_536]);
});

test('[K3] what is left of a block is not for another key that took its place', async () => {
  const { cache, source, clock } = setUp();
  await cache.protect([subject('a')], USE, [1]);
  source.rotate(subject('a'));
  clock.ms = 1000;
  await cache.protect([subject('a')], USE, [5]);
  await cache.protect([subject('a')], USE, [1]);
  assert.deepEqual(asksOf(source), [65_536, 5, 65_536]);
});

test('[K3] concurrent callers take from one block no more than it has', async () => {
  const { cache, source } = setUp();
  await Promise.all([1, 2, 3].map(() => cache.protect([subject('a')], USE, [30_000])));
  assert.deepEqual(asksOf(source), [65_536, 65_536]);
});

test('[K8] news of a key drop it for protecting and for processing, and nothing else', async () => {
  const { cache, source } = setUp();
  const [a, b] = await cache.protect([subject('a'), subject('b')], { ...USE, subjects: ['a', 'b'] });
  await cache.process([a!.id, b!.id], USE);
  cache.forget({ ids: [a!.id], specs: [] });
  await cache.protect([subject('a'), subject('b')], USE);
  await cache.process([a!.id, b!.id], USE);
  assert.deepEqual(source.calls.slice(2), [['a'], [a!.id]]);
});

test('[K8] news of a spec have its active key asked for anew; what it sealed before still opens', async () => {
  const { cache, source } = setUp();
  const [old] = await cache.protect([subject('a')], USE);
  await cache.process([old!.id], USE);
  source.rotate(subject('a'));
  cache.forget({ ids: [], specs: [{ kind: 'subject', scope: 'a' }] });
  const [young] = await cache.protect([subject('a')], USE);
  assert.notEqual(young!.id, old!.id);
  await cache.process([old!.id], USE);
  assert.equal(source.calls.length, 3);
});

const NEWS_ON_THE_WAY: Record<string, (key: DataKey) => Parameters<NewsListener['forget']>[0]> = {
  'its id': ({ id }) => ({ ids: [id], specs: [] }),
  'its spec': () => ({ ids: [], specs: [{ kind: 'subject', scope: 'a' }] }),
};

for (const [what, newsOf] of Object.entries(NEWS_ON_THE_WAY)) {
  test(`[K8] a key that is on its way when ${what} is in the news serves who waits and is not kept`, async () => {
    const { cache, service, source } = setUp();
    const [key] = await service.protect([subject('a')], USE);
    const release = hold(source);
    const late = cache.protect([subject('a')], USE);
    cache.forget(newsOf(key!));
    release();
    assert.equal((await late)[0]!.id, key!.id);
    assert.equal(cache.stats().keys, 0);
  });
}

test('[K8] a key to open with that is on its way when its id is in the news is not kept', async () => {
  const { cache, service, source } = setUp();
  const [key] = await service.protect([subject('a')], USE);
  const release = hold(source);
  const late = cache.process([key!.id], USE);
  cache.forget({ ids: [key!.id], specs: [] });
  release();
  await late;
  assert.equal(cache.stats().keys, 0);
});
