/** Tokens that must not open, each with the code it is refused with: what an attacker, or a sloppy carrier, makes of a good one. */
import type { FieldContext, SealErrorCode } from '../src/seal/index.ts';
import { CONTEXT, type SecretName } from './cases.ts';

export interface MustFailVector {
  readonly name: string;
  readonly secret: SecretName;
  readonly context: FieldContext;
  readonly token: string;
  readonly code: SealErrorCode;
}

/** `token` opens under the key `counting` at CONTEXT. */
export function mustFailVectors(token: string): MustFailVector[] {
  const good = { secret: 'counting', context: CONTEXT, token } as const;
  const spelled = (name: string, text: string): MustFailVector => ({
    ...good,
    name,
    token: text,
    code: 'SEAL_TOKEN_MALFORMED',
  });
  const moved = (name: string, place: Partial<FieldContext>): MustFailVector => ({
    ...good,
    name,
    context: { ...CONTEXT, ...place },
    code: 'SEAL_NOT_AUTHENTIC',
  });
  const text = token.slice('kw1.'.length);
  const envelope = Buffer.from(text, 'base64url');
  const changed = (offset: number, byte: number) => Buffer.from(envelope).fill(byte, offset, offset + 1);
  const encoded = (bytes: Buffer) => `kw1.${bytes.toString('base64url')}`;
  return [
    spelled('nothing', ''),
    spelled('only the prefix', 'kw1.'),
    spelled('no prefix', text),
    spelled('the prefix in upper case', `KW1.${text}`),
    spelled('the prefix of another version', `kw2.${text}`),
    spelled('padding', `${token}=`),
    spelled('white space at the end', `${token}\n`),
    spelled('white space within', `${token.slice(0, 20)} ${token.slice(20)}`),
    spelled('a character that completes no byte', `${token}AAA`),
    spelled('the alphabet of plain base64', `kw1.+/${text.slice(2)}`),
    spelled('bits after the last byte', strayBits(token)),
    spelled('an algorithm that does not exist', encoded(changed(0, 2))),
    spelled('algorithm zero', encoded(changed(0, 0))),
    spelled('header and tag with nothing between them', encoded(envelope.subarray(0, 45))),
    { ...good, name: 'another key is used', secret: 'zero', code: 'SEAL_KEY_MISMATCH' },
    { ...good, name: 'another key is named', token: encoded(changed(1, 0)), code: 'SEAL_KEY_MISMATCH' },
    { ...good, name: 'another IV', token: encoded(changed(17, 0)), code: 'SEAL_NOT_AUTHENTIC' },
    { ...good, name: 'another tag', token: encoded(changed(envelope.length - 1, 0)), code: 'SEAL_NOT_AUTHENTIC' },
    { ...good, name: 'a shorter ciphertext', token: encoded(envelope.subarray(0, -1)), code: 'SEAL_NOT_AUTHENTIC' },
    moved('moved to another tenant', { tenant: 'other' }),
    moved('moved to another patient', { scope: 'tenant' }),
    moved('moved to another type', { objectType: 'Person' }),
    moved('moved to another version', { objectId: '0b7c3f0e-53a1-4f0e-8f7f-3f1d9c0e7a43' }),
    moved('moved to another element', { path: 'Patient.name.given' }),
    moved('read as another datatype', { datatype: 'code' }),
    moved('read as another class', { fieldClass: 'label' }),
    moved('a boundary between two members is shifted', { objectType: 'Patien', objectId: `t${CONTEXT.objectId}` }),
  ];
}

/** The last character of a 61-byte envelope carries 4 bits that must be zero; this sets one of them. */
function strayBits(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return token.slice(0, -1) + alphabet.charAt(alphabet.indexOf(token.slice(-1)) + 1);
}
