/** Process credentials: random, one file each, mode 0600, made when first asked for. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataPaths } from '../core/index.ts';

/** Bytes of entropy in a generated credential. */
const SECRET_BYTES = 32;

/** Every credential that one Keyward process shows to another. */
export type SecretName =
  | 'db-superuser'
  | 'db-custodian'
  | 'db-ledger-writer'
  | 'db-ledger-reader'
  | 'db-store'
  | 'custodian-gateway'
  | 'custodian-store'
  | 'custodian-admin'
  | 'demo-journal';

/** base64url text of 32 random bytes. Two processes that ask at once get the same one. */
export function readOrCreateSecret(paths: DataPaths, name: SecretName): string {
  const file = join(paths.secrets, name);
  const existing = readIfThere(file);
  if (existing) return existing;
  mkdirSync(paths.secrets, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(draft, randomBytes(SECRET_BYTES).toString('base64url'), { mode: 0o600, flush: true });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
  return readFileSync(file, 'utf8');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8') || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
