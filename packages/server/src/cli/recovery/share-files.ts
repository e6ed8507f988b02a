/** Files of shares and holder keys: never overwritten, readable to their owner alone. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { KeywardError } from '../../core/index.ts';
import { isSealedShare, openSealedShare, parseShare, type Share } from '../../keys/index.ts';

/** @throws KeywardError `CLI_USAGE` when there is such a file already */
export function writePrivateFile(file: string, content: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, content, { mode: 0o600, flag: 'wx', flush: true });
  } catch (cause) {
    throw new KeywardError('CLI_USAGE', { detail: `cannot make ${file}`, cause });
  }
}

export function readTextFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new KeywardError('CLI_USAGE', { detail: `cannot read ${file}`, cause });
  }
}

/** @throws KeywardError `KEYS_BACKUP_INVALID` */
export function readShares(files: readonly string[]): Share[] {
  return files.map((file) => {
    const text = readTextFile(file);
    if (isSealedShare(text))
      throw new KeywardError('KEYS_BACKUP_INVALID', {
        detail: 'A share is sealed still; its holder opens it with "keyward keys open-share".',
      });
    return parseShare(text);
  });
}

/** The text of a share, opened by its holder. */
export function openShareFile(sealedFile: string, keyFile: string): string {
  const text = openSealedShare(readTextFile(sealedFile), readTextFile(keyFile));
  parseShare(text);
  return text;
}
