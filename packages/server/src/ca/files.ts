/** Files of the CA: read whole, written whole or not at all. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { KeywardError } from '../core/index.ts';

export const PRIVATE_MODE = 0o600;
export const PUBLIC_MODE = 0o644;
const PRIVATE_FOLDER_MODE = 0o700;
const OTHERS_MASK = 0o077;

export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
}

export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Like `readIfThere`, and refuses a file that other users of the machine may read or write. */
export async function readPrivateIfThere(file: string): Promise<string | undefined> {
  const text = await readIfThere(file);
  if (text !== undefined && (await isOpenToOthers(file))) throw new KeywardError('CA_KEY_UNUSABLE');
  return text;
}

/** Windows has no such modes; there the folder's access list protects the file. */
async function isOpenToOthers(file: string): Promise<boolean> {
  if (process.platform === 'win32') return false;
  await using handle = await open(file);
  return ((await handle.stat()).mode & OTHERS_MASK) !== 0;
}

export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const draft = await writeDraft(file, text, mode);
  await rename(draft, file);
}

/** Of two processes that create at once, one wins. */
export async function createFileOnce(file: string, text: string, mode: number): Promise<void> {
  const draft = await writeDraft(file, text, mode);
  try {
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft);
  }
}

async function writeDraft(file: string, text: string, mode: number): Promise<string> {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, text, { mode, flush: true });
  return draft;
}
