/** A session with the running instance: its addresses, and requests under short-lived tokens of one role each. */
import { readFileSync } from 'node:fs';
import { decodeJwt } from 'jose';
import { type Clock, dataPaths, KeywardError } from '../core/index.ts';
import type { CliContext, TokenSourceOptions } from './context.ts';
import { createHttpClient, type HttpAnswer, type HttpClient, type HttpRequest } from './http.ts';
import { claimsOf, type Role } from './roles.ts';
import { fhirBase, type Instance, readInstance } from './instance.ts';

export interface Session extends AsyncDisposable {
  readonly instance: Instance;
  /** `path` is below the FHIR base, e.g. `Patient/123`. */
  fhir(role: Role, path: string, request?: Omit<HttpRequest, 'token'>): Promise<HttpAnswer>;
  /** `path` is below the admin origin, e.g. `v1/ledger/entries`. */
  admin(role: Role, path: string, request?: Omit<HttpRequest, 'token'>): Promise<HttpAnswer>;
  /** Who the token of that role says its bearer is. */
  subjectOf(role: Role): Promise<string | undefined>;
}

const TOKEN_TTL_SECONDS = 300;
/** A token is renewed this long before it ends, so that none expires on its way. */
const RENEW_BEFORE_MS = 60_000;

/** @throws KeywardError `CLI_NOT_READY` | `CLI_TOKEN` */
export function openSession(context: CliContext, options: TokenSourceOptions): Session {
  const { services, clock } = context;
  const paths = dataPaths(options.dataDir);
  const instance = readInstance(paths);
  const http: HttpClient = createHttpClient(paths);
  const given = givenToken(context, options);
  const sub = options.as === undefined ? {} : { sub: options.as };
  const mint = (role: Role) =>
    services.mintToken({ ...options, ...claimsOf(role), ...sub, mfa: true, ttlSeconds: TOKEN_TTL_SECONDS });
  const tokenOf = given === undefined ? tokenSource(clock, mint) : async () => given;
  const below = (base: string, path: string) => (path === '' ? base : `${base}/${path}`);
  return {
    instance,
    fhir: async (role, path, request = {}) =>
      http.send(below(fhirBase(instance.gatewayUrl), path), { ...request, token: await tokenOf(role) }),
    admin: async (role, path, request = {}) =>
      http.send(below(new URL(instance.adminUrl).origin, path), { ...request, token: await tokenOf(role) }),
    subjectOf: async (role) => decodeJwt(await tokenOf(role)).sub,
    [Symbol.asyncDispose]: () => http.close(),
  };
}

/** A token of a real issuer, which stands for every role: what its bearer may do, it says itself. */
function givenToken({ env }: CliContext, { tokenFile }: TokenSourceOptions): string | undefined {
  if (tokenFile === undefined) return env['KEYWARD_TOKEN'] || undefined;
  const token = readText(tokenFile).trim();
  if (/^[\w.~+/=-]+$/.test(token)) return token;
  throw new KeywardError('CLI_TOKEN');
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new KeywardError('CLI_TOKEN', { cause });
  }
}

/** One token per role, minted when first needed and again before it ends. */
export function tokenSource(clock: Clock, mint: (role: Role) => Promise<string>): (role: Role) => Promise<string> {
  const held = new Map<Role, { token: string; renewAtMs: number }>();
  return async (role) => {
    const nowMs = clock.now().getTime();
    const known = held.get(role);
    if (known && nowMs < known.renewAtMs) return known.token;
    const token = await mint(role);
    held.set(role, { token, renewAtMs: nowMs + TOKEN_TTL_SECONDS * 1000 - RENEW_BEFORE_MS });
    return token;
  };
}
