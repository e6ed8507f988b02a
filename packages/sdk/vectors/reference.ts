/** The seal format a second time, on @noble and without any code of the engine: what the vectors are checked against. */
import { gcm } from '@noble/ciphers/aes.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { FieldContext } from '../src/seal/index.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

export const keyId = (secret: Uint8Array): Uint8Array => hmac(sha256, secret, utf8('keyward/1 key id')).slice(0, 16);

export function aad(context: FieldContext): Uint8Array {
  const { tenant, scope, objectType, objectId, path, datatype, fieldClass } = context;
  const parts = ['keyward/1', tenant, scope, objectType, objectId, path, datatype, fieldClass].map(utf8);
  return join(...parts.flatMap((part) => [uint32(part.length), part]));
}

function uint32(number: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

export function sealEnvelope(
  secret: Uint8Array,
  iv: Uint8Array,
  aadBytes: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return join(Uint8Array.of(1), keyId(secret), iv, gcm(secret, iv, aadBytes).encrypt(plaintext));
}

export function openEnvelope(secret: Uint8Array, aadBytes: Uint8Array, envelope: Uint8Array): Uint8Array {
  return gcm(secret, envelope.slice(17, 29), aadBytes).decrypt(envelope.slice(29));
}

/** The JSON text is padded already. */
export function sealToken(secret: Uint8Array, iv: Uint8Array, context: FieldContext, json: string): string {
  return `kw1.${Buffer.from(sealEnvelope(secret, iv, aad(context), utf8(json))).toString('base64url')}`;
}

export function openToken(secret: Uint8Array, context: FieldContext, token: string): string {
  const envelope = new Uint8Array(Buffer.from(token.slice(4), 'base64url'));
  return new TextDecoder().decode(openEnvelope(secret, aad(context), envelope));
}

export function indexOf(secret: Uint8Array, indexClass: string, system: string, normalised: string): string {
  const mac = hmac(sha256, secret, utf8(`${indexClass}\0${system}\0${normalised}`)).slice(0, 16);
  const bits = [...mac].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const groups = bits.match(/.{1,5}/g) ?? [];
  return `kwi1${groups.map((group) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')}`;
}
