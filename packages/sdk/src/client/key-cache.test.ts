/** The data-key cache: what it bounds, and what concurrent callers share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataKey, generateDataKey, type KeyId } from '../seal/index.ts';
import { ClientError, type ClientErrorCode } from './errors.ts';
import { createKeyCache, type KeyCacheOptions } from './key-cache.ts';
import { scopeOf } from './spec.ts';
import type { KeyService, KeySpec, KeyUse } from './types.ts';

const USE: KeyUse = { purpose: 'TREAT', correlationId: '00000000-0000-4000-8000-000000000001' };
const subject = (name: string): KeySpec => ({ kind: 'subject', subject: name });

/** A key service in memory: real keys, a log of its calls, and an outage on demand. */
function createSource() {
  const active = new Map<string, DataKey>();
  const byId = new Map<KeyId, DataKey>();
  const calls: string[][] = [];
  const source = { calls, down: false, revoked: new Set<KeyId>(), held: Promise.resolve() as Promise<unknown> };
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
  const service: KeyService = {
    protect: (specs) => answer(specs.map(scopeOf), specs, activeKey),
    process: (ids) => answer(ids, ids, (id) => byId.get(id) ?? fail('KEYS_UNKNOWN_KEY')),
  };
  return { ...source, source, service };
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
