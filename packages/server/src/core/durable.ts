/**
 * Files that are on disk when the call returns. Every write is synchronous, because Node's permission model, under which the
 * custodian runs, permits no fsync: `sync()` of a file and `flush: true` fail there.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, linkSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';

/** How a file is opened that must not be there yet, and whose writes are on disk when they return. */
export const NEW_DURABLE_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_SYNC;

/** The same for reading and changing a file that is there. */
export const DURABLE_FILE = constants.O_RDWR | constants.O_SYNC;

export interface DurableFile {
  readonly file: string;
  readonly content: Uint8Array;
  readonly mode: number;
  /** Whether it takes the place of what is there; otherwise what is there stays, without a word. */
  readonly replace: boolean;
}

/** There whole or not at all, also after a loss of power. */
export function writeDurably({ file, content, mode, replace }: DurableFile): void {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    writeNew(draft, content, mode);
    if (replace) renameDurably(draft, file);
    else named(draft, () => linkIfFree(draft, file));
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Gives a file that was written synchronously its name; whatever had that name is gone. */
export const renameDurably = (draft: string, file: string): void => named(draft, () => renameSync(draft, file));

/** The name of a file goes to disk with the next synchronous write to it: one byte is written again as it was. */
function named(draft: string, name: () => void): void {
  const descriptor = openSync(draft, DURABLE_FILE);
  try {
    name();
    const first = new Uint8Array(1);
    writeSync(descriptor, first, 0, readSync(descriptor, first, 0, 1, 0), 0);
  } finally {
    closeSync(descriptor);
  }
}

function writeNew(file: string, content: Uint8Array, mode: number): void {
  const descriptor = openSync(file, NEW_DURABLE_FILE, mode);
  try {
    for (let done = 0; done < content.length; )
      done += writeSync(descriptor, content, done, content.length - done, done);
  } finally {
    closeSync(descriptor);
  }
}

/** A link never replaces a file that is there. */
function linkIfFree(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
