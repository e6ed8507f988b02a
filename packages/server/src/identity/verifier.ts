/** Validates bearer tokens: issuer, audience, algorithm allow-list, times, signature (RFC 8725). */
import { createHash, type KeyObject } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { createRemoteJWKSet, decodeJwt, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { IssuerConfig } from '../config/index.ts';
import { type Clock, KeywardError } from '../core/index.ts';
import { DEVELOPMENT_ALGORITHM, DEVELOPMENT_ISSUER } from './development-issuer.ts';
import { type Principal, principalFrom } from './principal.ts';

export interface TokenVerifier {
  /** @throws KeywardError `IDENTITY_…`; what was wrong with a token is not told to whoever sent it. */
  verify(authorization: string | undefined, remoteAddress: string): Promise<Principal>;
}

export interface VerifierOptions {
  readonly audience: string;
  readonly issuers: readonly IssuerConfig[];
  /** Public key of the development issuer; must be undefined when issuers are configured. */
  readonly developmentKey?: KeyObject | undefined;
  readonly clock: Clock;
}

interface TrustedIssuer {
  readonly algorithms: string[];
  readonly key: JWTVerifyGetKey;
  readonly roleClaim: string;
  readonly purposeClaim: string;
  readonly loopbackOnly: boolean;
  readonly toleranceSeconds: number;
}

/** A longer one is no token of any issuer we know. */
const MAX_TOKEN_CHARS = 8192;
/** Between an issuer's clock and ours. The development issuer has our clock. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** Verified tokens remembered by hash; each only until its own `exp`. */
const MAX_REMEMBERED = 10_000;

export function createTokenVerifier(options: VerifierOptions): TokenVerifier {
  const trusted = trustedIssuers(options);
  const remembered = new Map<string, { principal: Principal; issuer: TrustedIssuer }>();
  const nowSeconds = () => options.clock.now().getTime() / 1000;

  return {
    async verify(authorization, remoteAddress) {
      const token = bearer(authorization);
      const hash = createHash('sha256').update(token).digest('base64');
      let known = remembered.get(hash);
      if (!known) {
        known = await verifyToken(token, trusted, options);
        if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.keys().next().value as string);
        remembered.set(hash, known);
      }
      const { principal, issuer } = known;
      if (principal.expiresAt + issuer.toleranceSeconds <= nowSeconds()) {
        remembered.delete(hash);
        throw new KeywardError('IDENTITY_TOKEN_EXPIRED');
      }
      if (issuer.loopbackOnly && !isLoopback(remoteAddress)) throw new KeywardError('IDENTITY_TOKEN_INVALID');
      return principal;
    },
  };
}

function trustedIssuers({ issuers, developmentKey }: VerifierOptions): Map<string, TrustedIssuer> {
  const trusted = new Map<string, TrustedIssuer>();
  for (const { issuer, jwksUrl, algorithms, roleClaim, purposeClaim } of issuers) {
    trusted.set(issuer, {
      algorithms,
      key: createRemoteJWKSet(new URL(jwksUrl)),
      roleClaim,
      purposeClaim,
      loopbackOnly: false,
      toleranceSeconds: CLOCK_TOLERANCE_SECONDS,
    });
  }
  if (developmentKey && trusted.size === 0) {
    trusted.set(DEVELOPMENT_ISSUER, {
      algorithms: [DEVELOPMENT_ALGORITHM],
      key: async () => developmentKey,
      roleClaim: 'role',
      purposeClaim: 'purpose_of_use',
      loopbackOnly: true,
      toleranceSeconds: 0,
    });
  }
  return trusted;
}

function bearer(authorization: string | undefined): string {
  if (authorization === undefined) throw new KeywardError('IDENTITY_TOKEN_MISSING');
  const token = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization)?.[1];
  if (!token || token.length > MAX_TOKEN_CHARS) throw new KeywardError('IDENTITY_TOKEN_INVALID');
  return token;
}

async function verifyToken(token: string, trusted: Map<string, TrustedIssuer>, { audience, clock }: VerifierOptions) {
  const issuer = trusted.get(issuerOf(token) ?? '');
  if (!issuer) throw new KeywardError('IDENTITY_TOKEN_INVALID');
  try {
    const { payload } = await jwtVerify(token, issuer.key, {
      algorithms: issuer.algorithms,
      audience,
      currentDate: clock.now(),
      clockTolerance: issuer.toleranceSeconds,
      requiredClaims: ['sub', 'exp', 'iss', 'aud'],
    });
    const principal = principalFrom(payload, issuer);
    if (principal) return { principal, issuer };
  } catch (cause) {
    throw new KeywardError(codeOf(cause), { cause });
  }
  throw new KeywardError('IDENTITY_TOKEN_INVALID');
}

const ISSUER_FAILURES: ReadonlySet<string> = new Set(['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID']);

/** The claimed issuer only chooses which keys to check with. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

function codeOf(cause: unknown): 'IDENTITY_TOKEN_EXPIRED' | 'IDENTITY_TOKEN_INVALID' | 'IDENTITY_ISSUER_UNAVAILABLE' {
  if (cause instanceof errors.JWTExpired) return 'IDENTITY_TOKEN_EXPIRED';
  // jose throws its base class when the issuer's answer is no key set at all.
  const ofTheIssuer = !(cause instanceof errors.JOSEError) || ISSUER_FAILURES.has(cause.code);
  return ofTheIssuer ? 'IDENTITY_ISSUER_UNAVAILABLE' : 'IDENTITY_TOKEN_INVALID';
}

/** Address of a caller; none when the request came through a proxy, which makes strangers look local. */
export const callerAddress = (headers: IncomingHttpHeaders, remoteAddress: string | undefined): string =>
  headers.forwarded === undefined && headers['x-forwarded-for'] === undefined ? (remoteAddress ?? '') : 'forwarded';

/** 127.0.0.0/8 and ::1 (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3), also as IPv4-mapped IPv6. */
function isLoopback(address: string): boolean {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return (isIP(plain) === 4 && plain.startsWith('127.')) || plain === '::1';
}
