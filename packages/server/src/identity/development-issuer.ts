/** The development token issuer: an Ed25519 key in a file only its owner can read; its tokens are taken from loopback only. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { type Clock, type DataPaths, KeywardError, newUuid } from '../core/index.ts';

export const DEVELOPMENT_ISSUER = 'urn:keyward:development-issuer';
export const DEVELOPMENT_ALGORITHM = 'EdDSA';

export interface MintRequest {
  readonly role: string;
  readonly sub: string;
  readonly audience: string;
  readonly scope: string;
  readonly patient?: string | undefined;
  readonly purpose?: string | undefined;
  readonly mfa: boolean;
  readonly ttlSeconds: number;
}

const keyFile = (paths: DataPaths) => join(paths.secrets, 'development-issuer.pem');

/** Makes the key on first use. */
export function createDevelopmentKey(paths: DataPaths): void {
  mkdirSync(paths.secrets, { recursive: true, mode: 0o700 });
  const draft = `${keyFile(paths)}.${newUuid()}`;
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(draft, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flush: true });
  try {
    linkSync(draft, keyFile(paths));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
}

/** Removed as soon as a real issuer is configured, so that no token of it can be made any more. */
export const removeDevelopmentKey = (paths: DataPaths): void => rmSync(keyFile(paths), { force: true });

/** @throws KeywardError `CLI_NOT_READY` where Keyward never ran, `CLI_NO_DEV_ISSUER` when there is none. */
function readPrivateKey(paths: DataPaths): KeyObject {
  try {
    return createPrivateKey(readFileSync(keyFile(paths)));
  } catch (cause) {
    if (!existsSync(paths.secrets))
      throw new KeywardError('CLI_NOT_READY', { detail: `there is no ${paths.secrets}`, cause });
    throw new KeywardError('CLI_NO_DEV_ISSUER', { cause });
  }
}

export const developmentPublicKey = (paths: DataPaths): KeyObject => createPublicKey(readPrivateKey(paths));

/** @throws KeywardError `CLI_NOT_READY` | `CLI_NO_DEV_ISSUER` */
export async function mintDevelopmentToken(paths: DataPaths, request: MintRequest, clock: Clock): Promise<string> {
  const issuedAt = Math.floor(clock.now().getTime() / 1000);
  const claims = {
    role: request.role,
    scope: request.scope,
    client_id: 'keyward-cli',
    ...(request.patient ? { patient: request.patient } : {}),
    ...(request.purpose ? { purpose_of_use: request.purpose } : {}),
    ...(request.mfa ? { amr: ['pwd', 'mfa'] } : { amr: ['pwd'] }),
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: DEVELOPMENT_ALGORITHM, typ: 'at+jwt' })
    .setIssuer(DEVELOPMENT_ISSUER)
    .setAudience(request.audience)
    .setSubject(request.sub)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + request.ttlSeconds)
    .setJti(newUuid())
    .sign(readPrivateKey(paths));
}
