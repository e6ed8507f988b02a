/** Data keys: one owner, one name, and nothing left behind in the caller's buffer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDataKey, generateDataKey, keyIdOf } from './index.ts';

test('[K10] making a key wipes the bytes it was made of, also when they are refused', () => {
  for (const size of [32, 31, 0, 64]) {
    const bytes = Buffer.alloc(size, 7);
    if (size === 32) createDataKey(bytes);
    else assert.throws(() => createDataKey(bytes), { name: 'SealError', code: 'SEAL_KEY_INVALID' });
    assert.deepEqual(bytes, Buffer.alloc(size));
  }
});

test('[K10] a generated key wipes the random bytes it was made of', () => {
  const drawn = Buffer.alloc(32, 9);
  const key = generateDataKey(() => drawn);
  assert.deepEqual(drawn, Buffer.alloc(32));
  assert.equal(key.id, keyIdOf(Buffer.alloc(32, 9)));
});

test('[E2] the id commits to the secret: the same for the same bytes, another for any other', () => {
  const bytes = Buffer.alloc(32, 1);
  const key = createDataKey(Buffer.from(bytes));
  assert.match(key.id, /^[0-9a-f]{32}$/);
  assert.equal(keyIdOf(key.secret), key.id);
  for (let offset = 0; offset < bytes.length; offset += 1) {
    const other = Buffer.from(bytes);
    other.writeUInt8(2, offset);
    assert.notEqual(keyIdOf(other), key.id);
  }
});

test('[K10] a key shows no secret bytes when it is printed or written as JSON', () => {
  const key = createDataKey(Buffer.alloc(32, 0xab));
  assert.ok(!JSON.stringify(key).includes('abab'));
});
