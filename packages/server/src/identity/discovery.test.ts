/** The description of a token issuer: taken over from a well-formed answer, refused by the right code from any other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MockAgent } from 'undici';
import { createIssuerDiscovery } from './index.ts';

const ORIGIN = 'https://login.example.org';
const ISSUER = { issuer: `${ORIGIN}/realm`, jwksUrl: `${ORIGIN}/keys` };
const METADATA = {
  issuer: ISSUER.issuer,
  authorization_endpoint: `${ORIGIN}/authorize`,
  token_endpoint: `${ORIGIN}/token`,
  scopes_supported: ['openid', 'launch/patient'],
  code_challenge_methods_supported: ['plain', 'S256'],
  token_endpoint_auth_methods_supported: ['private_key_jwt'],
  something_else: 'unknown members are no business of ours',
};

let nowMs = 0;

/** An issuer that answers as told, once for each answer; more requests than answers fail. */
function issuerAnswering(...answers: readonly (readonly [status: number, body: string | object])[]) {
  const dispatcher = new MockAgent();
  dispatcher.disableNetConnect();
  const pool = dispatcher.get(ORIGIN);
  for (const [status, body] of answers)
    pool.intercept({ path: '/realm/.well-known/openid-configuration' }).reply(status, body);
  return createIssuerDiscovery({ issuers: [ISSUER], clock: { now: () => new Date(nowMs) }, dispatcher });
}

test('[A1] the endpoints of the issuer are those it publishes about itself', async () => {
  const { issuer, jwksUri, endpoints, scopes, codeChallengeMethods } = await issuerAnswering([
    200,
    METADATA,
  ]).describe();
  assert.deepEqual([issuer, jwksUri], [ISSUER.issuer, ISSUER.jwksUrl]);
  assert.deepEqual(endpoints, { authorization_endpoint: `${ORIGIN}/authorize`, token_endpoint: `${ORIGIN}/token` });
  assert.deepEqual([scopes, codeChallengeMethods], [METADATA.scopes_supported, ['plain', 'S256']]);
});

const MALFORMED: Readonly<Record<string, string | object>> = {
  'of another issuer': { ...METADATA, issuer: 'https://evil.example' },
  'with a token endpoint without https': { ...METADATA, token_endpoint: 'http://login.example.org/token' },
  'with a token endpoint that is no URL': { ...METADATA, token_endpoint: 'javascript:alert(1)' },
  'with scopes that are no scopes': { ...METADATA, scopes_supported: ['open id'] },
  'that is no JSON': '<html>',
  'that has no end': `"${'x'.repeat(300_000)}"`,
};
for (const [what, body] of Object.entries(MALFORMED)) {
  test(`[A1] a description ${what} is not passed on, nor told as an outage`, async () => {
    await assert.rejects(issuerAnswering([200, body]).describe(), { code: 'IDENTITY_ISSUER_INVALID' });
  });
}

for (const [what, status] of [
  ['an error', 500],
  ['a redirect', 302],
] as const) {
  test(`[A1] ${what} in place of a description is not passed on`, async () => {
    await assert.rejects(issuerAnswering([status, METADATA]).describe(), { code: 'IDENTITY_ISSUER_UNAVAILABLE' });
  });
}

test('[A1] a description is kept for ten minutes, a failure for ten seconds', async () => {
  const discovery = issuerAnswering([500, ''], [200, METADATA], [200, { ...METADATA, scopes_supported: ['profile'] }]);
  const failing = { code: 'IDENTITY_ISSUER_UNAVAILABLE' };
  await assert.rejects(discovery.describe(), failing);
  nowMs += 9_999;
  await assert.rejects(discovery.describe(), failing);
  nowMs += 1;
  assert.deepEqual((await discovery.describe()).scopes, METADATA.scopes_supported);
  nowMs += 599_999;
  assert.deepEqual((await discovery.describe()).scopes, METADATA.scopes_supported);
  nowMs += 1;
  assert.deepEqual((await discovery.describe()).scopes, ['profile']);
});

test('[A1] an issuer that is not reached by https, and the development issuer, have no endpoints', async () => {
  const clock = { now: () => new Date(0) };
  const plain = createIssuerDiscovery({ issuers: [{ ...ISSUER, issuer: 'http://login.example.org' }], clock });
  assert.deepEqual([(await plain.describe()).endpoints, (await plain.describe()).jwksUri], [{}, ISSUER.jwksUrl]);
  const development = await createIssuerDiscovery({ issuers: [], clock }).describe();
  assert.deepEqual([development.endpoints, development.jwksUri], [{}, undefined]);
});
