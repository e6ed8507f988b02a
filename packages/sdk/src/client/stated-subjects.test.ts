/** A key cache between users who state different patients: nobody is handed what he did not state. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateDataKey } from '../seal/index.ts';
import { ClientError } from './errors.ts';
import { createKeyCache } from './key-cache.ts';
import type { GrantedKey, KeySource, KeyUse } from './types.ts';

const use = (...subjects: string[]): KeyUse => ({
  tenant: 'clinic',
  subjects,
  purpose: 'TREAT',
  correlationId: '00000000-0000-4000-8000-000000000001',
});

/** A custodian with one key of each of two patients, that refuses whoever does not state the patient. */
function createSource() {
  const keys: GrantedKey[] = ['alice', 'bob'].map((subject) => ({ ...generateDataKey(), subject, seals: 1_000_000 }));
  const asked: string[] = [];
  const answer = async (found: readonly (GrantedKey | undefined)[], { subjects }: KeyUse): Promise<GrantedKey[]> => {
    asked.push(subjects.join());
    await new Promise((resolve) => setImmediate(resolve));
    return found.map((key) => {
      if (!key?.subject || !subjects.includes(key.subject)) throw new ClientError('KEYS_USE_REFUSED');
      return key;
    });
  };
  const source: KeySource = {
    protect: (specs, stated) => {
      const subjectOf = (at: number) => keys.find(({ subject }) => JSON.stringify(specs[at]).includes(`"${subject}"`));
      return answer(
        specs.map((_, at) => subjectOf(at)),
        stated,
      );
    },
    process: (ids, stated) =>
      answer(
        ids.map((id) => keys.find((key) => key.id === id)),
        stated,
      ),
  };
  const bounds = { maxAgeMs: 60_000, maxHandouts: 1000, maxKeys: 10, now: () => performance.now() };
  return { cache: createKeyCache(source, bounds), asked, ids: keys.map(({ id }) => id) };
}

const REFUSED = { code: 'KEYS_USE_REFUSED' };

test('[K4] a held key serves only who states its patient; others are refused by the custodian itself', async () => {
  const { cache, asked, ids } = createSource();
  const [alice = ''] = ids;
  await cache.process([alice], use('alice'));
  await cache.process([alice], use('bob', 'alice'));
  assert.deepEqual(asked, ['alice']);
  await assert.rejects(cache.process([alice], use('bob')), REFUSED);
  await assert.rejects(cache.process([alice], use()), REFUSED);
  assert.deepEqual(asked, ['alice', 'bob', '']);
  await cache.process([alice], use('alice'));
  assert.equal(asked.length, 3);
});

test('[K4] the same holds for keys to protect with', async () => {
  const { cache, asked } = createSource();
  const spec = { kind: 'subject', subject: 'alice' } as const;
  await cache.protect([spec], use('alice'));
  await assert.rejects(cache.protect([spec], use('bob')), REFUSED);
  assert.deepEqual(asked, ['alice', 'bob']);
});

test('[K4] who joins a call of somebody else is handed only what he stated, and is not refused for the other', async () => {
  const { cache, asked, ids } = createSource();
  const [alice = '', bob = ''] = ids;
  const [first, wrong, second] = await Promise.allSettled([
    cache.process([alice, bob], use('alice', 'bob')),
    cache.process([alice], use('bob')),
    cache.process([alice], use('alice')),
  ]);
  assert.equal(first.status, 'fulfilled');
  assert.equal(second.status, 'fulfilled');
  assert.ok(wrong.status === 'rejected' && (wrong.reason as ClientError).code === 'KEYS_USE_REFUSED');
  assert.deepEqual(asked, ['alice,bob', 'bob']);
});

test('[K4] who joins a call that was refused for its statement is served by a call of his own', async () => {
  const { cache, ids } = createSource();
  const [alice = ''] = ids;
  const [wrong, right] = await Promise.allSettled([
    cache.process([alice], use('bob')),
    cache.process([alice], use('alice')),
  ]);
  assert.deepEqual([wrong.status, right.status], ['rejected', 'fulfilled']);
});
