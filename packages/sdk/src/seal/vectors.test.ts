/** The vector files: produced again by the engine, and checked by a second implementation that shares no code with it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SECRETS, type SecretName } from '../../vectors/cases.ts';
import { vectorFiles, vectorKey } from '../../vectors/generate.ts';
import type { MustFailVector } from '../../vectors/must-fail.ts';
import * as reference from '../../vectors/reference.ts';
import { blindIndex, createEngine, type FieldContext, openBytes } from './index.ts';
import { readJsonText, writeJsonText } from './json-text.ts';
import { normalise } from './normalise.ts';

interface SealVectors {
  readonly keys: readonly { readonly name: SecretName; readonly secretHex: string; readonly id: string }[];
  readonly tokens: readonly TokenVector[];
  readonly envelopes: readonly EnvelopeVector[];
}
interface TokenVector {
  readonly secret: SecretName;
  readonly context: FieldContext;
  readonly aadHex: string;
  readonly json: string;
  readonly token: string;
}
interface EnvelopeVector {
  readonly secret: SecretName;
  readonly aad: string;
  readonly plaintextHex: string;
  readonly envelopeHex: string;
}
interface IndexVector {
  readonly secret: SecretName;
  readonly indexClass: string;
  readonly system: string;
  readonly normalised: string;
  readonly spellings: readonly string[];
  readonly index: string;
}
interface IndexVectors {
  readonly indexes: readonly IndexVector[];
  readonly empty: readonly { readonly indexClass: string; readonly system: string; readonly text: string }[];
}

const FOLDER = join(import.meta.dirname, '../../vectors');
const read = (name: string): unknown => JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));

const seal = read('seal.json') as SealVectors;
const indexes = read('blind-index.json') as IndexVectors;
const mustFail = read('must-fail.json') as readonly MustFailVector[];

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (of: Uint8Array): string => Buffer.from(of).toString('hex');
const secretOf = (name: SecretName): Uint8Array => bytes(SECRETS[name]);
const engine = createEngine();

test('[E1] the engine produces the vector files byte for byte', () => {
  for (const [name, text] of vectorFiles()) assert.equal(readFileSync(join(FOLDER, name), 'utf8'), text, name);
});

test('[E1] the second implementation names the same keys', () => {
  for (const { secretHex, id } of seal.keys) assert.equal(hex(reference.keyId(bytes(secretHex))), id);
});

test('[E1] the second implementation binds tokens to the same context bytes', () => {
  for (const { context, aadHex } of seal.tokens) assert.equal(hex(reference.aad(context)), aadHex);
});

test('[E1] each implementation opens what the other sealed', () => {
  for (const { secret, context, json, token } of seal.tokens) {
    const key = vectorKey(secret);
    const padded = reference.openToken(secretOf(secret), context, token);
    assert.equal(padded.trimEnd(), json);
    assert.equal(reference.sealToken(secretOf(secret), ivOf(token), context, padded), token);
    const [value] = engine.openMany([{ key, context, token }]);
    assert.equal(writeJsonText(value as never), json);
    const [fresh] = engine.sealMany([{ key, context, value: readJsonText(json) }]);
    assert.equal(reference.openToken(secretOf(secret), context, fresh as string), padded);
  }
});

const ivOf = (token: string): Uint8Array => new Uint8Array(Buffer.from(token.slice(4), 'base64url').subarray(17, 29));

test('[E3] each implementation opens the envelopes of the other', () => {
  for (const { secret, aad, plaintextHex, envelopeHex } of seal.envelopes) {
    const aadBytes = new Uint8Array(Buffer.from(aad));
    const envelope = bytes(envelopeHex);
    assert.equal(hex(openBytes(vectorKey(secret), aadBytes, envelope)), plaintextHex);
    assert.equal(hex(reference.openEnvelope(secretOf(secret), aadBytes, envelope)), plaintextHex);
    const again = reference.sealEnvelope(secretOf(secret), envelope.slice(17, 29), aadBytes, bytes(plaintextHex));
    assert.equal(hex(again), envelopeHex);
  }
});

for (const { name, secret, context, token, code } of mustFail) {
  test(`[E1] does not open: ${name}`, () => {
    const open = () => engine.openMany([{ key: vectorKey(secret), context, token }]);
    assert.throws(open, { name: 'SealError', code });
  });
}

test('[E7] every spelling of a value has the index that the second implementation computes', () => {
  for (const { secret, indexClass, system, normalised, spellings, index } of indexes.indexes) {
    assert.equal(reference.indexOf(secretOf(secret), indexClass, system, normalised), index);
    for (const spelling of spellings) {
      assert.equal(normalise(indexClass, system, spelling), normalised, `${indexClass}: ${spelling}`);
      assert.equal(blindIndex(vectorKey(secret), indexClass, system, spelling), index);
    }
  }
});

test('[E7] what normalises to nothing has no index', () => {
  for (const { indexClass, system, text } of indexes.empty) {
    assert.equal(blindIndex(vectorKey('counting'), indexClass, system, text), undefined, indexClass);
  }
});
