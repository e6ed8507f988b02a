/** `.well-known/smart-configuration`: where clients get tokens, and which of SMART App Launch 2.2 holds here; nothing that is not so. */
import type { IssuerDescription } from '../../identity/index.ts';
import type { Exchange } from '../exchange.ts';

/** What the gateway makes of scopes; see scopes.ts. */
const OWN_SCOPES = ['patient/*.cruds', 'user/*.cruds', 'system/*.cruds'];
const OWN_CAPABILITIES = ['permission-patient', 'permission-user', 'permission-v1', 'permission-v2'];

/** Scopes of SMART that are the issuer's to grant; its others are no business of a FHIR client. */
const ISSUER_SCOPES: ReadonlySet<string> = new Set([
  'openid',
  'profile',
  'fhirUser',
  'launch',
  'launch/patient',
  'launch/encounter',
  'offline_access',
  'online_access',
]);

/** What an issuer announces (OpenID Connect Discovery 1.0 §3), and the capability of SMART it amounts to. */
const ISSUER_CAPABILITIES: readonly (readonly [
  announced: keyof Pick<IssuerDescription, 'scopes' | 'clientAuthentication'>,
  value: string,
  capability: string,
])[] = [
  ['clientAuthentication', 'none', 'client-public'],
  ['clientAuthentication', 'client_secret_basic', 'client-confidential-symmetric'],
  ['clientAuthentication', 'private_key_jwt', 'client-confidential-asymmetric'],
  ['scopes', 'openid', 'sso-openid-connect'],
  ['scopes', 'offline_access', 'permission-offline'],
  ['scopes', 'online_access', 'permission-online'],
];

export async function replySmartConfiguration(exchange: Exchange): Promise<void> {
  const issuer = await exchange.gateway.issuer.describe();
  const { clientAuthentication, scopes, grantTypes, responseTypes, codeChallengeMethods } = issuer;
  exchange.reply = {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: {
      issuer: issuer.issuer,
      ...(issuer.jwksUri === undefined ? {} : { jwks_uri: issuer.jwksUri }),
      ...issuer.endpoints,
      ...listed('token_endpoint_auth_methods_supported', clientAuthentication),
      ...listed('grant_types_supported', grantTypes),
      ...listed('response_types_supported', responseTypes),
      // SMART forbids `plain`.
      ...listed(
        'code_challenge_methods_supported',
        codeChallengeMethods.filter((method) => method === 'S256'),
      ),
      scopes_supported: [...OWN_SCOPES, ...scopes.filter((scope) => ISSUER_SCOPES.has(scope))],
      capabilities: [
        ...OWN_CAPABILITIES,
        ...ISSUER_CAPABILITIES.filter(([announced, value]) => issuer[announced].includes(value)).map(
          ([, , capability]) => capability,
        ),
      ],
    },
  };
}

const listed = (name: string, values: readonly string[]) => (values.length === 0 ? {} : { [name]: values });
