import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { base64url, SignJWT } from 'jose';
import { type Clock, dataPaths, KeywardError } from '../core/index.ts';
import {
  createDevelopmentKey,
  createTokenVerifier,
  developmentPublicKey,
  mintDevelopmentToken,
  removeDevelopmentKey,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'keyward-identity-'));
after(() => rmSync(folder, { recursive: true }));
const paths = dataPaths(folder);
createDevelopmentKey(paths);

const START = Date.parse('2026-01-01T00:00:00Z');
let now = START;
const clock: Clock = { now: () => new Date(now) };
const verifier = createTokenVerifier({
  audience: 'keyward',
  issuers: [],
  developmentKey: developmentPublicKey(paths),
  clock,
});
const request = {
  role: 'clinician',
  sub: 'c-1',
  audience: 'keyward',
  scope: 'user/*.cruds',
  purpose: 'TREAT',
  mfa: true,
  ttlSeconds: 300,
};
const mint = (change: Partial<typeof request & { patient: string }> = {}) =>
  mintDevelopmentToken(paths, { ...request, ...change }, clock);

async function outcome(authorization: string | undefined, address = '127.0.0.1'): Promise<string> {
  try {
    return (await verifier.verify(authorization, address)).sub;
  } catch (error) {
    assert.ok(error instanceof KeywardError);
    return error.message;
  }
}

test('[A1] a token of the development issuer names its bearer', async () => {
  now = START;
  const principal = await verifier.verify(`Bearer ${await mint({ patient: 'p-1' })}`, '127.0.0.1');
  assert.deepEqual(principal, {
    sub: 'c-1',
    role: 'clinician',
    scopes: ['user/*.cruds'],
    patient: 'p-1',
    purpose: 'TREAT',
    client: 'keyward-cli',
    issuer: 'urn:keyward:development-issuer',
    mfa: true,
    expiresAt: START / 1000 + 300,
  });
});

test('[A1] a token that was accepted before is refused once it has expired', async () => {
  now = START;
  const authorization = `Bearer ${await mint()}`;
  assert.equal(await outcome(authorization), 'c-1');
  now += 300_000;
  assert.equal(await outcome(authorization), 'IDENTITY_TOKEN_EXPIRED');
  assert.equal(await outcome(authorization), 'IDENTITY_TOKEN_EXPIRED');
});

test('[A1] a token of the development issuer is worthless away from loopback, even after it was seen there', async () => {
  now = START;
  const authorization = `Bearer ${await mint()}`;
  assert.equal(await outcome(authorization, '::1'), 'c-1');
  assert.equal(await outcome(authorization, '::ffff:127.0.0.1'), 'c-1');
  for (const address of ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1', '127.evil', '']) {
    assert.equal(await outcome(authorization, address), 'IDENTITY_TOKEN_INVALID', address);
  }
});

test('[A1] missing, malformed, unsigned, re-signed and misdirected tokens are refused alike', async () => {
  now = START;
  const good = await mint();
  const [header = '', payload = '', signature = ''] = good.split('.');
  const encode = (value: object) => base64url.encode(JSON.stringify(value));
  const claims = {
    iss: 'urn:keyward:development-issuer',
    aud: 'keyward',
    sub: 'x',
    role: 'clinician',
    exp: START / 1000 + 300,
  };
  const foreign = generateKeyPairSync('ed25519').privateKey;
  const sign = (change: object, alg = 'EdDSA', key: Parameters<SignJWT['sign']>[0] = foreign) =>
    new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg }).sign(key);
  assert.equal(await outcome(undefined), 'IDENTITY_TOKEN_MISSING');
  const bad: Record<string, string> = {
    empty: '',
    'another scheme': `Basic ${good}`,
    'two tokens': `Bearer ${good}, Bearer ${good}`,
    'alg none': `Bearer ${encode({ alg: 'none' })}.${payload}.`,
    'alg none with the signature': `Bearer ${encode({ alg: 'none' })}.${payload}.${signature}`,
    'changed payload': `Bearer ${header}.${encode(claims)}.${signature}`,
    'no signature': `Bearer ${header}.${payload}.`,
    'another key': `Bearer ${await sign({})}`,
    'another audience': `Bearer ${await mint({ audience: 'other' })}`,
    'another issuer': `Bearer ${await sign({ iss: 'https://id.example.org' })}`,
    'public key as HMAC secret': `Bearer ${await sign({}, 'HS256', developmentPublicKey(paths).export({ type: 'spki', format: 'der' }))}`,
    'no role': `Bearer ${await mint({ role: '' })}`,
    'too long': `Bearer ${'a'.repeat(9000)}`,
  };
  for (const [what, authorization] of Object.entries(bad))
    assert.equal(await outcome(authorization), 'IDENTITY_TOKEN_INVALID', what);
});

test('[A1] the development issuer is never trusted when a real issuer is configured, and its key can be removed', async () => {
  now = START;
  const authorization = `Bearer ${await mint()}`;
  const issuers = [
    {
      issuer: 'https://id.example.org',
      jwksUrl: 'https://id.example.org/keys',
      algorithms: ['ES256' as const],
      roleClaim: 'role',
      purposeClaim: 'purpose',
    },
  ];
  const strict = createTokenVerifier({
    audience: 'keyward',
    issuers,
    developmentKey: developmentPublicKey(paths),
    clock,
  });
  await assert.rejects(strict.verify(authorization, '127.0.0.1'), { code: 'IDENTITY_TOKEN_INVALID' });
  removeDevelopmentKey(paths);
  await assert.rejects(mint(), { code: 'CLI_NO_DEV_ISSUER' });
});
