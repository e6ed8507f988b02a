/** The engine's promises: any JSON comes back as it was, in its own place only, and one bad token spoils the batch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CONTEXT } from '../../vectors/cases.ts';
import { createEngine, type FieldContext, generateDataKey, type Json, tokenKeyId } from './index.ts';
import { readJsonText } from './json-text.ts';

const engine = createEngine();
const key = generateDataKey();

const seal = (value: Json, context: FieldContext = CONTEXT): string =>
  engine.sealMany([{ key, context, value }])[0] as string;
const open = (token: string, context: FieldContext = CONTEXT): Json =>
  engine.openMany([{ key, context, token }])[0] as Json;
const envelopeOf = (token: string): Buffer => Buffer.from(token.slice(4), 'base64url');
const tokenOf = (envelope: Buffer): string => `kw1.${envelope.toString('base64url')}`;

const anyText = fc.string({ unit: 'binary' });
const fieldClass = fc.constantFrom('name', 'birthDate', 'narrative', 'media', 'a class of a JSON API');

test('[E1] any JSON value comes back as the same JSON', () => {
  const anyJson = fc.jsonValue({ stringUnit: 'binary' });
  fc.assert(
    fc.property(anyJson, fieldClass, (value, cls) => {
      const context = { ...CONTEXT, fieldClass: cls };
      assert.equal(JSON.stringify(open(seal(value as Json, context), context)), JSON.stringify(value));
    }),
  );
});

test('[E1] numbers keep the digits they were sent with, alone and within objects', () => {
  const digits = fc.stringMatching(/^-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?$/);
  fc.assert(
    fc.property(digits, anyText, (number, text) => {
      const json = JSON.stringify({ text, list: [0] }).replace(/\[0\]\}$/, `[${number},{"deep":${number}}]}`);
      assert.equal(JSON.stringify(open(seal(readJsonText(number)))), number);
      assert.equal(JSON.stringify(open(seal(readJsonText(json)))), json);
    }),
  );
});

test('[E1] a plain number comes back as a number, a boolean as a boolean, a date as text', () => {
  for (const value of [2, -1.5, true, false, null, '1974-12-25']) assert.deepEqual(open(seal(value)), value);
});

test('[E1] a member named __proto__ stays a member', () => {
  const text = '{"__proto__":{"a":1.10}}';
  const value = open(seal(readJsonText(text)));
  assert.equal(JSON.stringify(value), text);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

test('[E1] a text that looks like a token, or is one, is sealed like any other', () => {
  const inner = seal('Chalmers');
  const outer = seal(inner);
  assert.notEqual(outer, inner);
  assert.equal(open(outer), inner);
});

test('[E1] what JSON would drop or change is refused', () => {
  const lossy: readonly unknown[] = [
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    10n,
    () => 1,
    Symbol('s'),
    new Date(0),
    new Map([[1, 2]]),
    { a: undefined },
    [Number.NaN],
    { toJSON: () => 'other' },
  ];
  for (const value of lossy)
    assert.throws(() => seal(value as Json), { name: 'SealError', code: 'SEAL_VALUE_UNSUPPORTED' });
  const cycle: Json[] = [];
  cycle.push(cycle);
  assert.throws(() => seal(cycle), { code: 'SEAL_VALUE_UNSUPPORTED' });
});

test('[E1] a batch keeps its order over several keys, records and sizes', () => {
  const other = generateDataKey();
  const items = Array.from({ length: 200 }, (_, position) => ({
    key: position % 3 === 0 ? other : key,
    context: { ...CONTEXT, objectId: `object ${position >> 2}`, path: `Patient.element${position % 7}` },
    value: 'x'.repeat((position * 37) % 500) + String(position),
  }));
  const tokens = engine.sealMany(items);
  const sealed = items.map((item, position) => ({ ...item, token: tokens[position] as string }));
  assert.deepEqual(
    engine.openMany(sealed),
    items.map(({ value }) => value),
  );
  assert.deepEqual(
    tokens.map(tokenKeyId),
    items.map((item) => item.key.id),
  );
  for (const { token, ...item } of sealed)
    assert.deepEqual(createEngine().openMany([{ ...item, token }]), [item.value]);
});

test('[E1] a context object that the caller changes between two items counts as it is then', () => {
  const context = { ...CONTEXT };
  const first = seal('one', context);
  context.objectId = 'another object';
  const second = seal('two', context);
  assert.equal(open(first), 'one');
  assert.equal(open(second, { ...CONTEXT, objectId: 'another object' }), 'two');
  assert.throws(() => open(second), { code: 'SEAL_NOT_AUTHENTIC' });
});

test('[E1] every token has an IV of its own, also for equal values in one batch', () => {
  const items = Array.from({ length: 1000 }, () => ({ key, context: CONTEXT, value: 'same' }));
  const ivs = engine.sealMany(items).map((token) => envelopeOf(token).subarray(17, 29).toString('hex'));
  assert.equal(new Set(ivs).size, items.length);
});

test('[E1] an empty batch is an empty answer', () => {
  assert.deepEqual(engine.sealMany([]), []);
  assert.deepEqual(engine.openMany([]), []);
});

test('[E1] one token that does not open keeps the whole batch closed', () => {
  const good = { key, context: CONTEXT, token: seal('good') };
  const moved = { key, context: { ...CONTEXT, path: 'Patient.name.given' }, token: good.token };
  assert.throws(() => engine.openMany([good, moved, good]), { code: 'SEAL_NOT_AUTHENTIC' });
});

test('[E1] no token opens after any one bit of it was flipped', () => {
  const envelope = envelopeOf(seal('Chalmers'));
  for (let bit = 0; bit < envelope.length * 8; bit += 1) {
    const flipped = Buffer.from(envelope);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    assert.throws(() => open(tokenOf(flipped)), { name: 'SealError' }, `bit ${bit}`);
  }
});

test('[E1] no token opens after truncation at any length', () => {
  const token = seal('Chalmers');
  for (let length = 0; length < token.length; length += 1) {
    assert.throws(() => open(token.slice(0, length)), { name: 'SealError' }, `${length} characters`);
  }
  const envelope = envelopeOf(token);
  for (let length = 0; length < envelope.length; length += 1) {
    assert.throws(() => open(tokenOf(envelope.subarray(0, length))), { name: 'SealError' }, `${length} bytes`);
  }
});

test('[E1] no token opens when any member of its context differs', () => {
  const members = Object.keys(CONTEXT) as (keyof FieldContext)[];
  const token = seal('Chalmers');
  assert.equal(members.length, 7);
  fc.assert(
    fc.property(fc.constantFrom(...members), fc.string({ unit: 'grapheme', minLength: 1 }), (member, text) => {
      fc.pre(text !== CONTEXT[member] && text.isWellFormed());
      assert.throws(() => open(token, { ...CONTEXT, [member]: text }), { code: 'SEAL_NOT_AUTHENTIC' });
    }),
  );
});

test('[E1] values of a class with few values have tokens of few lengths', () => {
  const lengthOf = (value: Json, cls: string) => seal(value, { ...CONTEXT, fieldClass: cls }).length;
  assert.equal(lengthOf('1974', 'birthDate'), lengthOf('1974-12-25', 'birthDate'));
  assert.equal(lengthOf('Li', 'name'), lengthOf('Chalmers', 'name'));
  assert.equal(lengthOf(true, 'a class of a JSON API'), lengthOf(false, 'a class of a JSON API'));
  assert.notEqual(lengthOf('Li', 'name'), lengthOf('a name with more than 16 bytes', 'name'));
});

test('[P2] an error names no value, no context and no key', () => {
  const attempts = [
    () => open(seal('Chalmers'), { ...CONTEXT, path: 'x' }),
    () => open('Chalmers'),
    () => seal(Number.NaN),
  ];
  for (const attempt of attempts) {
    assert.throws(attempt, (error: Error) => {
      assert.equal(error.cause, undefined);
      for (const secret of ['Chalmers', CONTEXT.scope, key.id]) assert.ok(!error.message.includes(secret));
      return true;
    });
  }
});
