/** Envelopes of whole bodies: the same guarantees as tokens, without the text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createEngine, envelopeKeyId, generateDataKey, openBytes, sealBytes } from './index.ts';
import { CONTEXT } from '../../vectors/cases.ts';
import { contextBytes } from './context.ts';
import { encodeToken } from './token.ts';

const key = generateDataKey();
const aad = Buffer.from('store/1 Patient 42');
const body = fc.uint8Array({ maxLength: 2000 });

test('[E3] any bytes come back under the same AAD, and the envelope names its key', () => {
  fc.assert(
    fc.property(body, body, (plaintext, place) => {
      const envelope = sealBytes(key, place, plaintext);
      assert.deepEqual(new Uint8Array(openBytes(key, place, envelope)), plaintext);
      assert.equal(envelopeKeyId(envelope), key.id);
    }),
  );
});

test('[E3] sealing leaves the plaintext of the caller alone and never gives the same envelope twice', () => {
  const plaintext = Buffer.from('{"resourceType":"Patient"}');
  const before = Buffer.from(plaintext);
  assert.notDeepEqual(sealBytes(key, aad, plaintext), sealBytes(key, aad, plaintext));
  assert.deepEqual(plaintext, before);
});

test('[E3] an envelope that is a view into a larger buffer opens', () => {
  const envelope = sealBytes(key, aad, Buffer.from('body'));
  const larger = new Uint8Array(envelope.length + 20);
  larger.set(envelope, 7);
  const view = larger.subarray(7, 7 + envelope.length);
  assert.equal(openBytes(key, aad, view).toString(), 'body');
  assert.equal(envelopeKeyId(view), key.id);
});

test('[E3] an envelope under another AAD, another key, or altered anywhere does not open', () => {
  const envelope = sealBytes(key, aad, Buffer.from('body'));
  assert.throws(() => openBytes(key, Buffer.from('store/1 Patient 43'), envelope), { code: 'SEAL_NOT_AUTHENTIC' });
  assert.throws(() => openBytes(generateDataKey(), aad, envelope), { code: 'SEAL_KEY_MISMATCH' });
  for (let offset = 0; offset < envelope.length; offset += 1) {
    const altered = Buffer.from(envelope);
    altered.writeUInt8(altered.readUInt8(offset) ^ 0x80, offset);
    assert.throws(() => openBytes(key, aad, altered), { name: 'SealError' }, `byte ${offset}`);
    assert.throws(() => openBytes(key, aad, envelope.subarray(0, offset)), { name: 'SealError' }, `${offset} bytes`);
  }
});

test('[E3] a key that lies about its id does not open what the named key sealed', () => {
  const other = generateDataKey();
  const envelope = sealBytes(key, aad, Buffer.from('body'));
  assert.throws(() => openBytes({ id: key.id, secret: other.secret }, aad, envelope), { code: 'SEAL_NOT_AUTHENTIC' });
});

test('[E3] a key without a proper id seals nothing', () => {
  for (const id of ['', 'abc', `${key.id.slice(2)}zz`]) {
    assert.throws(() => sealBytes({ id, secret: key.secret }, aad, Buffer.from('body')), { code: 'SEAL_KEY_INVALID' });
  }
});

test('[E1] a field token around something other than JSON is not authentic', () => {
  const token = encodeToken(sealBytes(key, contextBytes(CONTEXT), Buffer.from('not JSON')));
  assert.throws(() => createEngine().openMany([{ key, context: CONTEXT, token }]), { code: 'SEAL_NOT_AUTHENTIC' });
});
