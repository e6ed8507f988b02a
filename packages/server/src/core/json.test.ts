import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { KeywardError, parseJson } from './index.ts';

const bytes = (text: string) => Buffer.from(text);
const code = (input: Uint8Array) => {
  try {
    parseJson(input);
    return 'accepted';
  } catch (error) {
    return error instanceof KeywardError ? error.code : 'not coded';
  }
};

test('[E1] a decimal keeps the digits it was sent with', () => {
  const text =
    '{"a":1.50,"b":[10.0,1e3,-0,0.1,12345678901234567890,0.00000010,0.0000001,12345678.12345678],"c":"1.50"}';
  assert.equal(JSON.stringify(parseJson(bytes(text))), text);
});

test('[E1] any JSON document is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      if (text.includes('__proto__')) return;
      assert.equal(JSON.stringify(parseJson(bytes(text), { maxDepth: 1000 })), text);
    }),
  );
});

const refused: [string, string | Uint8Array, string][] = [
  ['text that ends early', '{"a":', 'JSON_MALFORMED'],
  ['two documents', '{} {}', 'JSON_MALFORMED'],
  ['an empty body', '', 'JSON_MALFORMED'],
  ['a comment', '{} // x', 'JSON_MALFORMED'],
  ['a lone continuation byte', Uint8Array.of(0x22, 0x80, 0x22), 'JSON_NOT_UTF8'],
  ['an overlong encoding', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), 'JSON_NOT_UTF8'],
  ['an encoded surrogate', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), 'JSON_NOT_UTF8'],
  ['a member named twice', '{"a":1,"a":2}', 'JSON_DUPLICATE_KEY'],
  ['a member named twice by an escape', '{"a":1,"\\u0061":2}', 'JSON_DUPLICATE_KEY'],
  ['a member named twice far inside', '[{"x":{"y":[{"a":":","a":2}]}}]', 'JSON_DUPLICATE_KEY'],
  ['a member named __proto__', '{"__proto__":{}}', 'JSON_FORBIDDEN_KEY'],
  ['65 levels', '['.repeat(65) + ']'.repeat(65), 'JSON_TOO_DEEP'],
  ['a hundred thousand levels', '['.repeat(100_000) + ']'.repeat(100_000), 'JSON_TOO_DEEP'],
];
for (const [what, input, expected] of refused) {
  test(`[A5] ${what} is refused with ${expected}`, () => {
    assert.equal(code(typeof input === 'string' ? bytes(input) : input), expected);
  });
}

test('[A5] 64 levels and colons, quotes and backslashes in strings are accepted', () => {
  assert.equal(code(bytes('['.repeat(64) + ']'.repeat(64))), 'accepted');
  assert.equal(code(bytes(String.raw`{"a:\"b":"c\\","d":":\":"}`)), 'accepted');
});
