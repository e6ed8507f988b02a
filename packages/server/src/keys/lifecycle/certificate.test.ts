/** Certificates: one that is known, and whatever was changed about it. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { test } from 'node:test';
import { type DestructionCertificate, REMAINS, type Signed, signStatement, verifyCertificate } from './certificate.ts';

/** RFC 8032, section 7.1, test 1. */
const SEED = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
const PUBLIC_KEY = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
const OTHER_PUBLIC_KEY = Buffer.from('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', 'hex');

const key = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), SEED]),
  format: 'der',
  type: 'pkcs8',
});

const STATEMENT: DestructionCertificate = {
  type: 'keyward/destruction-certificate/1',
  destruction: '5a4c8e6e-6f0a-4a3c-9f39-0d7e2f4b1c11',
  installation: 'b3f1c2ad-2f6e-4a84-8a6d-1b7b1e5f9d22',
  tenant: 'default',
  target: 'subject/0c9a1f7e-8b5d-4a53-9d4f-3f6f2f1f7a33',
  keys: [
    {
      id: '00112233445566778899aabbccddeeff',
      kind: 'subject',
      scope: '0c9a1f7e-8b5d-4a53-9d4f-3f6f2f1f7a33',
      kekVersion: 1,
    },
  ],
  destroyedAt: '2030-01-08T00:00:00.000Z',
  method: 'wrapped key erased',
  remains: REMAINS,
  reason: 'the patient asked for it',
  orderedBy: 'https://issuer.test operator',
  approvals: 'ab'.repeat(32),
  orderedAt: '2030-01-01T00:00:00.000Z',
  dueAt: '2030-01-08T00:00:00.000Z',
  attempts: 2,
  ledgerEntries: ['5a4c8e6e-6f0a-4a3c-9f39-0d7e2f4b1c11', '5a4c8e6e-6f0a-8a3c-9f39-0d7e2f4b1c10'],
  backups: { rewritten: [{ backup: 'b', digest: 'd' }], notReached: [{ backup: 'c', why: 'missing' }] },
};

/** Computed by another implementation (Python's json and cryptography) from the same statement and seed. */
const KNOWN_SIGNATURE = 'GkP1J4oACrkgCGR3JWy2gJY8TgdEQhcYK9fXdBgU9xqjLL5t__eaq7VVo51ejypCpb8xhrGOaWCBdXY1Hy_MAg';

const SIGNED = signStatement(STATEMENT, { keyId: 'ff'.repeat(16), key });

test('[K7] a certificate has this one signature, and anybody with the public key can verify it', () => {
  assert.equal(SIGNED.signature.value, KNOWN_SIGNATURE);
  assert.equal(verifyCertificate(SIGNED, PUBLIC_KEY), true);
});

test('[K7] a certificate that was written down and read again in another order of members still verifies', () => {
  const read = JSON.parse(JSON.stringify(SIGNED)) as Signed<DestructionCertificate>;
  const turned = Object.fromEntries(Object.entries(read.statement).toReversed());
  assert.equal(verifyCertificate({ signature: read.signature, statement: turned }, PUBLIC_KEY), true);
});

test('[K7] with any bit of its signature flipped a certificate does not verify', () => {
  const bytes = Buffer.from(SIGNED.signature.value, 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const signature = { ...SIGNED.signature, value: flipped.toString('base64url') };
    assert.equal(verifyCertificate({ ...SIGNED, signature }, PUBLIC_KEY), false, `bit ${bit}`);
  }
});

test('[K7] with any character of its statement changed a certificate does not verify', () => {
  const text = JSON.stringify(SIGNED.statement);
  for (let at = 0; at < text.length; at += 1) {
    const other = text[at] === 'x' ? 'y' : 'x';
    const changed = parsed(text.slice(0, at) + other + text.slice(at + 1));
    assert.equal(verifyCertificate({ ...SIGNED, statement: changed }, PUBLIC_KEY), false, `character ${at}`);
  }
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const { reason: _reason, ...withoutReason } = STATEMENT;
const signature = (value: string) => ({ ...SIGNED, signature: { ...SIGNED.signature, value } });

const NO_CERTIFICATES: Readonly<Record<string, unknown>> = {
  nothing: undefined,
  text: JSON.stringify(SIGNED),
  'one without a signature': { statement: STATEMENT },
  'one that lacks a member': { ...SIGNED, statement: withoutReason },
  'one with a member more': { ...SIGNED, statement: { ...STATEMENT, note: 'more' } },
  'one whose signature is cut off': signature(SIGNED.signature.value.slice(0, -4)),
  'one whose signature is empty': signature(''),
  'one whose signature is spelled otherwise': signature(`${SIGNED.signature.value}==`),
  'one of another algorithm': { ...SIGNED, signature: { ...SIGNED.signature, algorithm: 'none' } },
};

for (const [what, certificate] of Object.entries(NO_CERTIFICATES)) {
  test(`[K7] ${what} is no certificate`, () => {
    assert.equal(verifyCertificate(certificate, PUBLIC_KEY), false);
  });
}

test('[K7] under another key, or bytes that are none, a certificate does not verify', () => {
  for (const other of [OTHER_PUBLIC_KEY, PUBLIC_KEY.subarray(1), Buffer.alloc(0), Buffer.alloc(32)])
    assert.equal(verifyCertificate(SIGNED, other), false);
});
