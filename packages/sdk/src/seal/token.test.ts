/** Tokens as text: one spelling only, and a shape that proves nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CONTEXT } from '../../vectors/cases.ts';
import { createEngine, generateDataKey, isToken, tokenKeyId } from './index.ts';

const engine = createEngine();
const key = generateDataKey();
const seal = (value: string): string =>
  engine.sealMany([{ key, context: { ...CONTEXT, fieldClass: 'narrative' }, value }])[0] as string;

test('[E1] a token names its key and has the shape of a token', () => {
  for (const value of ['', 'a', 'ab', 'abc'.repeat(1000)]) {
    assert.ok(isToken(seal(value)));
    assert.equal(tokenKeyId(seal(value)), key.id);
  }
});

test('[E1] no other spelling of a token is accepted: every last character but one is refused', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.split('');
  for (const value of ['', 'ab']) {
    const token = seal(value);
    const accepted = alphabet.filter((character) => names(token.slice(0, -1) + character));
    // 16 or 4 of 64 characters leave the unused bits zero: those are other tags, not other spellings.
    const bytes = new Set(
      accepted.map((character) => Buffer.from(token.slice(4, -1) + character, 'base64url').toString('hex')),
    );
    assert.equal(bytes.size, accepted.length);
    assert.ok(accepted.length < alphabet.length);
  }
});

function names(token: string): boolean {
  try {
    return tokenKeyId(token) === key.id;
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'SEAL_TOKEN_MALFORMED');
    return false;
  }
}

test('[E1] any text is either malformed or its own only spelling', () => {
  const nearly = fc.string({ unit: fc.constantFrom(...'AQaz09-_+/= .\n'.split('')), maxLength: 90 });
  fc.assert(
    fc.property(nearly, (text) => {
      const token = `kw1.A${text}`;
      if (names(token)) assert.equal(`kw1.${Buffer.from(token.slice(4), 'base64url').toString('base64url')}`, token);
    }),
  );
});

test('[E1] the shape alone does not make a text a sealed value', () => {
  const forged = `kw1.${Buffer.alloc(64, 1).toString('base64url')}`;
  assert.ok(isToken(forged));
  assert.throws(() => engine.openMany([{ key, context: CONTEXT, token: forged }]), { code: 'SEAL_KEY_MISMATCH' });
});

test('[E1] what is not a token does not look like one', () => {
  for (const text of ['', 'kw1.', 'kw1.short', 'Chalmers', ` ${seal('a')}`, `${seal('a')}=`, `${seal('a')}\n`]) {
    assert.ok(!isToken(text), text);
    assert.throws(() => tokenKeyId(text), { name: 'SealError', code: 'SEAL_TOKEN_MALFORMED' });
  }
});
