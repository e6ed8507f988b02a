/** The file of the local root key: 32 bytes that nobody but this user can read. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { createDataKey, type DataKey } from '@keyward/sdk/seal';
import { KeywardError } from '../../../core/index.ts';

const KEY_BYTES = 32;
/** Any right of the group or of others. */
const FOREIGN_RIGHTS = 0o077;
/** The right of the group or of others to put another file in its place. */
const FOREIGN_WRITE = 0o022;

/** @throws KeywardError `KEYS_ROOT_UNREADABLE`; undefined when there is no such file. */
export function readRootKey(file: string): DataKey | undefined {
  const descriptor = openIfThere(file);
  if (descriptor === undefined) return undefined;
  try {
    checkFile(fstatSync(descriptor));
    checkDirectory(statSync(dirname(file)));
    return createDataKey(readFileSync(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the file, unless someone else just did; in both cases the key that now lies there. */
export function createRootKey(file: string): DataKey {
  const directory = dirname(file);
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeDraft(draft);
    publish(draft, file);
    syncDirectory(directory);
  } catch (cause) {
    throw unreadable('It could not be written.', cause);
  } finally {
    rmSync(draft, { force: true });
  }
  const key = readRootKey(file);
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
  if (stats.size !== KEY_BYTES) throw unreadable(`It is not ${KEY_BYTES} bytes long.`);
}

function checkDirectory(stats: Stats): void {
  if (stats.mode & FOREIGN_WRITE) throw unreadable('Others can write to its directory.');
}

function writeDraft(draft: string): void {
  const bytes = randomBytes(KEY_BYTES);
  try {
    writeFileSync(draft, bytes, { mode: 0o600, flag: 'wx', flush: true });
  } finally {
    bytes.fill(0);
  }
}

/** A link never replaces a file that is there, and shows it whole or not at all. */
function publish(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Without it a power failure could lose the name of a key that already wraps a KEK. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const unreadable = (detail: string, cause?: unknown): KeywardError =>
  new KeywardError('KEYS_ROOT_UNREADABLE', { detail, cause });
