/** Wrapped data keys, below the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateDataKey } from '@keyward/sdk/seal';
import { type DataKeyPlace, kekAad, unwrapDataKey, wrapDataKey } from './wrapping.ts';

const kek = generateDataKey();
const key = generateDataKey();
const PLACE: DataKeyPlace = { tenant: 'a', kind: 'index', scope: 'family', id: key.id, kekVersion: 1 };

test('[E2] a wrapped key opens in its own place and in no other', () => {
  const wrapped = wrapDataKey(kek, key, PLACE);
  assert.ok(unwrapDataKey(kek, wrapped, PLACE).secret.equals(key.secret));
  const changes: Partial<DataKeyPlace>[] = [
    { tenant: 'b' },
    { kind: 'subject' },
    { scope: 'given' },
    { id: generateDataKey().id },
    { kekVersion: 2 },
    { tenant: 'aindex', kind: '' },
    { kind: 'indexfamily', scope: '' },
  ];
  for (const change of changes) {
    assert.throws(() => unwrapDataKey(kek, wrapped, { ...PLACE, ...change }), { code: 'KEYS_NOT_AUTHENTIC' });
  }
  assert.throws(() => unwrapDataKey(generateDataKey(), wrapped, PLACE), { code: 'KEYS_NOT_AUTHENTIC' });
});

test('[E2] a key that was wrapped under a foreign id is refused by its commitment', () => {
  const foreign = { ...PLACE, id: generateDataKey().id };
  const wrapped = wrapDataKey(kek, key, foreign);
  assert.throws(() => unwrapDataKey(kek, wrapped, foreign), { code: 'KEYS_NOT_AUTHENTIC' });
});

test('[E2] the place of a KEK is its tenant and version', () => {
  const places = [kekAad('a', 1), kekAad('a', 2), kekAad('a1', 1), kekAad('b', 1)].map((aad) => aad.toString('hex'));
  assert.equal(new Set(places).size, 4);
});
