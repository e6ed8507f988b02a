/** What `smart-configuration` announces: what the gateway can do, and of the issuer what that publishes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IssuerDescription } from '../../identity/index.ts';
import type { Exchange } from '../exchange.ts';
import { replySmartConfiguration } from './smart-configuration.ts';

const NOTHING: IssuerDescription = {
  issuer: 'https://login.example.org',
  jwksUri: 'https://login.example.org/keys',
  endpoints: {},
  scopes: [],
  grantTypes: [],
  responseTypes: [],
  codeChallengeMethods: [],
  clientAuthentication: [],
};

async function configurationOf(issuer: Partial<IssuerDescription>): Promise<Record<string, unknown>> {
  const exchange = {
    gateway: { issuer: { describe: async () => ({ ...NOTHING, ...issuer }) } },
  } as unknown as Exchange;
  await replySmartConfiguration(exchange);
  return exchange.reply?.body as unknown as Record<string, unknown>;
}

test('[A3] the capabilities follow from what the issuer announces', async () => {
  const { capabilities, scopes_supported: scopes } = await configurationOf({
    scopes: ['openid', 'offline_access', 'email', 'admin:everything'],
    clientAuthentication: ['private_key_jwt', 'client_secret_post'],
  });
  const own = ['permission-patient', 'permission-user', 'permission-v1', 'permission-v2'];
  const announced = ['client-confidential-asymmetric', 'sso-openid-connect', 'permission-offline'];
  assert.deepEqual(capabilities, [...own, ...announced]);
  assert.deepEqual(scopes, ['patient/*.cruds', 'user/*.cruds', 'system/*.cruds', 'openid', 'offline_access']);
});

test('[A1] proof keys are announced only as S256, and lists the issuer does not publish are not there', async () => {
  const both = await configurationOf({ codeChallengeMethods: ['plain', 'S256'], grantTypes: ['client_credentials'] });
  assert.deepEqual(both['code_challenge_methods_supported'], ['S256']);
  assert.deepEqual(both['grant_types_supported'], ['client_credentials']);
  const plain = await configurationOf({ codeChallengeMethods: ['plain'] });
  assert.deepEqual(
    Object.keys(plain).filter((name) => /_endpoint|grant|challenge|response/.test(name)),
    [],
  );
});
