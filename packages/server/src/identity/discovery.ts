/** What the configured token issuer publishes about itself (OpenID Connect Discovery 1.0), for clients that ask us where to get tokens. */
import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import type { IssuerConfig } from '../config/index.ts';
import { type Clock, KeywardError } from '../core/index.ts';
import { DEVELOPMENT_ISSUER } from './development-issuer.ts';

export interface IssuerDescription {
  readonly issuer: string;
  readonly jwksUri: string | undefined;
  /** As the issuer names them, e.g. `token_endpoint`; those it has. */
  readonly endpoints: Readonly<Record<string, string>>;
  readonly scopes: readonly string[];
  readonly grantTypes: readonly string[];
  readonly responseTypes: readonly string[];
  readonly codeChallengeMethods: readonly string[];
  /** Methods at the token endpoint. */
  readonly clientAuthentication: readonly string[];
}

export interface IssuerDiscovery {
  /** @throws KeywardError `IDENTITY_ISSUER_UNAVAILABLE` | `IDENTITY_ISSUER_INVALID` */
  describe(): Promise<IssuerDescription>;
}

export interface DiscoveryInputs {
  /** The first is described: a SMART configuration has one issuer. With none, the development issuer, which has no endpoints. */
  readonly issuers: readonly Pick<IssuerConfig, 'issuer' | 'jwksUrl'>[];
  readonly clock: Clock;
  /** How its host is reached, where that is not the ordinary way. */
  readonly dispatcher?: Dispatcher;
}

const TIMEOUT_MS = 5_000;
const KEPT_MS = 600_000;
/** Anybody may ask, so an issuer that does not answer is not asked each time. */
const FAILURE_KEPT_MS = 10_000;
const MAX_ANSWER_BYTES = 256 * 1024;

export function createIssuerDiscovery({ issuers, clock, dispatcher }: DiscoveryInputs): IssuerDiscovery {
  const [issuer] = issuers;
  if (!issuer) return { describe: async () => bare(DEVELOPMENT_ISSUER, undefined) };
  let kept: { readonly answer: Promise<IssuerDescription>; until: number } | undefined;
  return {
    describe() {
      const nowMs = clock.now().getTime();
      if (kept && kept.until > nowMs) return kept.answer;
      const entry = { answer: discover(issuer, dispatcher), until: nowMs + KEPT_MS };
      entry.answer.catch(() => (entry.until = clock.now().getTime() + FAILURE_KEPT_MS));
      kept = entry;
      return entry.answer;
    },
  };
}

const bare = (issuer: string, jwksUri: string | undefined): IssuerDescription => ({
  issuer,
  jwksUri,
  endpoints: {},
  scopes: [],
  grantTypes: [],
  responseTypes: [],
  codeChallengeMethods: [],
  clientAuthentication: [],
});

/** RFC 6749 §3.3: what a scope token is made of; the other lists hold no more than that either. */
const names = z
  .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/))
  .max(500)
  .default([]);
const httpsUrl = z.url({ protocol: /^https$/ });
const ENDPOINTS = {
  authorization_endpoint: httpsUrl.optional(),
  token_endpoint: httpsUrl.optional(),
  introspection_endpoint: httpsUrl.optional(),
  revocation_endpoint: httpsUrl.optional(),
  registration_endpoint: httpsUrl.optional(),
};
const endpointNames = Object.keys(ENDPOINTS) as (keyof typeof ENDPOINTS)[];
const metadataShape = z.object({
  issuer: z.string(),
  ...ENDPOINTS,
  scopes_supported: names,
  // OpenID Connect Discovery 1.0 §3 has these defaults.
  grant_types_supported: names.default(['authorization_code', 'implicit']),
  response_types_supported: names,
  code_challenge_methods_supported: names,
  token_endpoint_auth_methods_supported: names.default(['client_secret_basic']),
});

async function discover(
  { issuer, jwksUrl }: Pick<IssuerConfig, 'issuer' | 'jwksUrl'>,
  dispatcher: Dispatcher | undefined,
): Promise<IssuerDescription> {
  // An issuer without https can be trusted for its signatures, whose keys come by https, but not for where to send secrets.
  if (URL.parse(issuer)?.protocol !== 'https:') return bare(issuer, jwksUrl);
  const metadata = metadataShape.safeParse(await fetchMetadata(issuer, dispatcher));
  // OpenID Connect Discovery 1.0 §4.3: it must be about the issuer that was asked.
  if (!metadata.success || metadata.data.issuer !== issuer)
    throw new KeywardError('IDENTITY_ISSUER_INVALID', { cause: metadata.error });
  const { data } = metadata;
  return {
    issuer,
    jwksUri: jwksUrl,
    endpoints: Object.fromEntries(
      endpointNames.flatMap((name): [string, string][] => (data[name] === undefined ? [] : [[name, data[name]]])),
    ),
    scopes: data.scopes_supported,
    grantTypes: data.grant_types_supported,
    responseTypes: data.response_types_supported,
    codeChallengeMethods: data.code_challenge_methods_supported,
    clientAuthentication: data.token_endpoint_auth_methods_supported,
  };
}

async function fetchMetadata(issuer: string, dispatcher: Dispatcher | undefined): Promise<unknown> {
  const text = await fetchText(issuer, dispatcher);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KeywardError('IDENTITY_ISSUER_INVALID', { cause });
  }
}

async function fetchText(issuer: string, dispatcher: Dispatcher | undefined): Promise<string> {
  try {
    const { statusCode, body } = await request(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(dispatcher ? { dispatcher } : {}),
    });
    const text = await limitedText(body);
    // A redirect is no answer either: it may lead anywhere.
    if (statusCode === 200) return text;
  } catch (cause) {
    throw cause instanceof KeywardError ? cause : new KeywardError('IDENTITY_ISSUER_UNAVAILABLE', { cause });
  }
  throw new KeywardError('IDENTITY_ISSUER_UNAVAILABLE');
}

async function limitedText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new KeywardError('IDENTITY_ISSUER_INVALID');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
