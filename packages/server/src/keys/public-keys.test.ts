/** One spelling for each public key: what says the same in another way is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readPublicKey } from './public-keys.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const KINDS = ['x25519', 'ed25519'] as const;

/** Little endian, as both curves write them. */
const encoded = (value: bigint): string =>
  Buffer.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toReversed()).toString('base64url');

test('[K5] a public key has one spelling: spare bits, padding, white space and the other alphabet are refused', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 20n, max: 2n ** 255n - 20n }), fc.constantFrom(...KINDS), (value, kind) => {
      const text = encoded(value);
      assert.equal(readPublicKey(kind, text)?.toString('base64url'), text);
      const last = ALPHABET.indexOf(text.at(-1)!);
      const others = [1, 2, 3].map((bits) => text.slice(0, -1) + ALPHABET[last ^ bits]);
      for (const other of [...others, `${text}=`, ` ${text}`, `${text.slice(0, 9)}\n${text.slice(9)}`, `${text}AA`])
        assert.equal(readPublicKey(kind, other), undefined, JSON.stringify(other));
    }),
  );
});

test('[K5] a coordinate that is not reduced is refused; the high bit counts in Ed25519 alone', () => {
  const prime = 2n ** 255n - 19n;
  const high = 2n ** 255n;
  for (const kind of KINDS) {
    assert.ok(readPublicKey(kind, encoded(prime - 1n)));
    assert.equal(readPublicKey(kind, encoded(prime)), undefined);
    assert.equal(readPublicKey(kind, encoded(high - 1n)), undefined);
    assert.equal(readPublicKey(kind, encoded(high + prime)), undefined);
  }
  assert.equal(readPublicKey('x25519', encoded(high + 9n)), undefined);
  assert.ok(readPublicKey('ed25519', encoded(high + 9n)));
});
