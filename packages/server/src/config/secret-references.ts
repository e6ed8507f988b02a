/** Secrets of others (a PIN, a token): the configuration says where they are, never what they are. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { KeywardError } from '../core/index.ts';

/** Any right of others; a group may read, since that is how secret stores mount files. */
const RIGHTS_OF_OTHERS = 0o007;

/** What begins with KEYWARD_ is a configuration key. */
const VARIABLE = /^(?!KEYWARD_)[A-Z][A-Z0-9_]*$/;

export const secretReference = z.union([
  z.strictObject({
    file: z.string().min(1).meta({ description: 'File that holds it; a line break at its end is dropped.' }),
  }),
  z.strictObject({ env: z.string().regex(VARIABLE).meta({ description: 'Environment variable that holds it.' }) }),
]);

export type SecretReference = z.infer<typeof secretReference>;

/** Names of the variables that settings refer to, so that no process but the one that needs them gets them. */
export function secretVariables(settings: object): string[] {
  return Object.entries(settings).flatMap(([name, value]: [string, unknown]) => {
    if (name === 'env' && typeof value === 'string') return [value];
    return typeof value === 'object' && value !== null ? secretVariables(value) : [];
  });
}

/** @throws KeywardError `CONFIG_SECRET_UNREADABLE`, which names neither the place nor the secret */
export function readSecretReference(
  reference: SecretReference,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const secret = 'file' in reference ? readFile(reference.file) : env[reference.env];
  if (!secret) throw unreadable('file' in reference ? 'The file is empty.' : 'The environment variable is not set.');
  return secret;
}

function readFile(file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY);
  } catch (cause) {
    throw unreadable('The file cannot be opened.', cause);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw unreadable('It is not a regular file.');
    if (stats.mode & RIGHTS_OF_OTHERS) throw unreadable('Everybody has rights to the file.');
    return readFileSync(descriptor, 'utf8').replace(/\r?\n$/, '');
  } finally {
    closeSync(descriptor);
  }
}

const unreadable = (detail: string, cause?: unknown): KeywardError =>
  new KeywardError('CONFIG_SECRET_UNREADABLE', { detail, cause });
