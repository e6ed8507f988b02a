/** The private key that an approver signs with: a file on his own machine that nobody else can read. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { KeywardError } from '../../core/index.ts';

/** One file for each person of each issuer. */
export function approverKeyFile({ issuer, sub }: { readonly issuer: string; readonly sub: string }): string {
  const of = createHash('sha256').update(issuer).digest('hex').slice(0, 8);
  return join(homedir(), '.keyward', `approver-${encodeURIComponent(sub)}-${of}.pem`);
}

/** @throws KeywardError `CLI_APPROVER_KEY` when the file is there already: a key is never overwritten. */
export function createApproverKey(file: string): KeyObject {
  const { privateKey } = generateKeyPairSync('ed25519');
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(file, pem, { mode: 0o600, flag: 'wx', flush: true });
  } catch (cause) {
    throw new KeywardError('CLI_APPROVER_KEY', { detail: `cannot make ${file}`, cause });
  }
  return privateKey;
}

/** @throws KeywardError `CLI_APPROVER_KEY` */
export function readApproverKey(file: string): KeyObject {
  try {
    if ((statSync(file).mode & 0o077) !== 0) throw new Error('others may read it');
    const key = createPrivateKey(readFileSync(file));
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('no Ed25519 key');
    return key;
  } catch (cause) {
    throw new KeywardError('CLI_APPROVER_KEY', { detail: file, cause });
  }
}

/** One that was just made, and that the custodian did not take. */
export const removeApproverKey = (file: string): void => rmSync(file);

/** 32 bytes in base64url. */
export const publicPart = (key: KeyObject): string => createPublicKey(key).export({ format: 'jwk' }).x ?? '';
