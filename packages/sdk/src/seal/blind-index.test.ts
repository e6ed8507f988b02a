/** Blind indexes: equal exactly when the normalised values are, in one class, system and key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { blindIndex, generateDataKey } from './index.ts';
import { normalise } from './normalise.ts';

const key = generateDataKey();
const DECLARED = ['family', 'given', 'city', 'identifier', 'phone', 'email', 'postalCode', 'store:any'];
const declared = fc.constantFrom(...DECLARED);
const similar = fc.string({
  unit: fc.constantFrom('a', 'A', 'ß', 's', ' ', '\u00a0', '-', '+', '1', '2', 'é', 'e\u0301'),
  maxLength: 6,
});
const text = fc.oneof(similar, fc.string({ unit: 'grapheme', maxLength: 12 }));

test('[E7] two values have one index if and only if their normalised forms are equal', () => {
  fc.assert(
    fc.property(declared, text, text, (indexClass, one, other) => {
      const same = normalise(indexClass, '', one) === normalise(indexClass, '', other);
      assert.equal(blindIndex(key, indexClass, '', one) === blindIndex(key, indexClass, '', other), same);
    }),
  );
});

test('[E7] normalising twice changes nothing more', () => {
  fc.assert(
    fc.property(declared, fc.oneof(text, fc.string({ unit: 'binary' })), (indexClass, value) => {
      const once = normalise(indexClass, '', value);
      assert.equal(normalise(indexClass, '', once), once);
    }),
  );
});

test('[E7] no letter of Unicode is found in one case and missed in another', () => {
  const missed: string[] = [];
  for (let point = 0; point <= 0x10ffff; point += 1) {
    const letter = String.fromCodePoint(point);
    const folded = normalise('family', '', letter);
    const others = [letter.toUpperCase(), letter.toLowerCase(), folded];
    if (others.some((other) => other !== letter && normalise('family', '', other) !== folded))
      missed.push(point.toString(16));
  }
  assert.deepEqual(missed, []);
});

test('[E7] an index is 30 lowercase letters and digits, whatever the value', () => {
  fc.assert(
    fc.property(text, (value) => {
      assert.match(blindIndex(key, 'family', '', `x${value}`) as string, /^kwi1[a-z2-7]{26}$/);
    }),
  );
});

test('[E7] one value has different indexes in another class, system or key', () => {
  const indexes = [
    blindIndex(key, 'family', '', 'chalmers'),
    blindIndex(key, 'given', '', 'chalmers'),
    blindIndex(key, 'identifier', '', 'chalmers'),
    blindIndex(key, 'identifier', 'urn:a', 'chalmers'),
    blindIndex(key, 'identifier', 'urn:b', 'chalmers'),
    blindIndex(key, 'store:family', '', 'chalmers'),
    blindIndex(generateDataKey(), 'family', '', 'chalmers'),
  ];
  assert.equal(new Set(indexes).size, indexes.length);
});

test('[E7] a class without a normaliser is refused: never an index of what has few values', () => {
  for (const indexClass of ['gender', 'state', '', 'store:', 'Family', '__proto__', 'constructor']) {
    assert.throws(
      () => blindIndex(key, indexClass, '', 'x'),
      { name: 'SealError', code: 'SEAL_INDEX_CLASS' },
      indexClass,
    );
  }
});

test('[E7] no separator can be smuggled into class or system', () => {
  assert.throws(() => blindIndex(key, 'identifier', 'urn:a\0b', 'c'), { code: 'SEAL_VALUE_UNSUPPORTED' });
  assert.throws(() => blindIndex(key, 'store:a\0b', '', 'c'), { code: 'SEAL_VALUE_UNSUPPORTED' });
  assert.notEqual(blindIndex(key, 'identifier', 'urn:a', 'b\0c'), undefined);
});
