/** The file of the local root key: 32 bytes, plain or under a passphrase, that nobody but this user can read. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, mkdirSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { createDataKey, type DataKey } from '@keyward/sdk/seal';
import { KeywardError, writeDurably } from '../../../core/index.ts';
import { decryptKey, encryptKey, isEncryptedKey } from './encrypted-key.ts';

const KEY_BYTES = 32;
/** No file of a root key is longer. */
const MOST_BYTES = 1024;
/** Any right of the group or of others. */
const FOREIGN_RIGHTS = 0o077;
/** The right of the group or of others to put another file in its place. */
const FOREIGN_WRITE = 0o022;

/** @throws KeywardError `KEYS_ROOT_UNREADABLE`; undefined when there is no such file. */
export function readRootKey(file: string, passphrase?: string): DataKey | undefined {
  const descriptor = openIfThere(file);
  if (descriptor === undefined) return undefined;
  try {
    checkFile(fstatSync(descriptor));
    checkDirectory(statSync(dirname(file)));
    return createDataKey(openKey(readFileSync(descriptor), passphrase));
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the file, unless someone else just did; in both cases the key that now lies there. */
export function createRootKey(file: string, passphrase?: string): DataKey {
  const directory = dirname(file);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFile(file, passphrase);
  } catch (cause) {
    throw unreadable('It could not be written.', cause);
  }
  const key = readRootKey(file, passphrase);
  if (!key) throw unreadable('It was removed while it was made.');
  return key;
}

/** Symbolic links are not followed: what is checked is what is read. */
function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable('It cannot be opened as a regular file.', cause);
  }
}

function checkFile(stats: Stats): void {
  if (!stats.isFile()) throw unreadable('It is not a regular file.');
  if (stats.uid !== process.getuid?.()) throw unreadable('It belongs to another user.');
  if (stats.mode & FOREIGN_RIGHTS) throw unreadable('Others than its owner have rights to it.');
  if (stats.size > MOST_BYTES) throw unreadable('It is too long.');
}

function checkDirectory(stats: Stats): void {
  if (stats.mode & FOREIGN_WRITE) throw unreadable('Others can write to its directory.');
}

/** The 32 bytes. One who expects a passphrase does not get a key that lay there without: it may have been copied. */
function openKey(bytes: Buffer, passphrase: string | undefined): Buffer {
  const isEncrypted = isEncryptedKey(bytes) && bytes.length !== KEY_BYTES;
  if (isEncrypted && passphrase === undefined)
    throw unreadable('It needs its passphrase: name it in keys.root.passphrase.');
  if (!isEncrypted && passphrase !== undefined)
    throw unreadable('It lies there without a passphrase, and one is configured.');
  if (passphrase !== undefined) return decrypt(bytes, passphrase);
  if (bytes.length !== KEY_BYTES) throw unreadable(`It is not ${KEY_BYTES} bytes long.`);
  return bytes;
}

function decrypt(bytes: Buffer, passphrase: string): Buffer {
  try {
    return decryptKey(bytes, passphrase);
  } catch (cause) {
    throw unreadable('The passphrase does not open it, or it was altered.', cause);
  }
}

/** On disk before the first KEK is wrapped under it; a file that is there already stays. */
function writeFile(file: string, passphrase: string | undefined): void {
  const bytes = randomBytes(KEY_BYTES);
  try {
    const content = passphrase === undefined ? bytes : encryptKey(bytes, passphrase);
    writeDurably({ file, content, mode: 0o600, replace: false });
  } finally {
    bytes.fill(0);
  }
}

const unreadable = (detail: string, cause?: unknown): KeywardError =>
  new KeywardError('KEYS_ROOT_UNREADABLE', { detail, cause });
