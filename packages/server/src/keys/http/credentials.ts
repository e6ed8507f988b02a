/** Which process is calling: each has a bearer credential of its own. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { KeywardError } from '../../core/index.ts';
import { REMOTE_CALLERS, type RemoteCaller } from '../grants.ts';

export type CustodianCredentials = Readonly<Record<RemoteCaller, string>>;

/** 32 characters of base64url carry 192 bits; generated credentials have 43. */
const MIN_CREDENTIAL_CHARACTERS = 32;

export type IdentifyCaller = (authorization: string | undefined) => RemoteCaller | undefined;

/** Every credential is compared, in constant time, so that the time taken tells nothing about any of them. */
export function createIdentifyCaller(credentials: CustodianCredentials): IdentifyCaller {
  const registered = REMOTE_CALLERS.map((caller) => ({ caller, digest: digestOf(requireStrong(credentials, caller)) }));
  return (authorization) => {
    const shown = digestOf(/^Bearer ([\w-]+)$/.exec(authorization ?? '')?.[1] ?? '');
    const matches = registered.filter(({ digest }) => timingSafeEqual(digest, shown));
    return matches[0]?.caller;
  };
}

const digestOf = (credential: string): Buffer => createHash('sha256').update(credential).digest();

function requireStrong(credentials: CustodianCredentials, caller: RemoteCaller): string {
  const credential = credentials[caller];
  const shared = REMOTE_CALLERS.some((other) => other !== caller && credentials[other] === credential);
  if (credential.length >= MIN_CREDENTIAL_CHARACTERS && !shared) return credential;
  throw new KeywardError('CONFIG_INVALID', {
    detail: `The credential custodian-${caller} is too short or not its own.`,
  });
}
