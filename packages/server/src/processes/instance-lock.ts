/** One supervisor per data directory: it holds a Unix socket, which ends with its process, however that ends. */
import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { type DataPaths, KeywardError } from '../core/index.ts';

/** @throws KeywardError `UP_ALREADY_RUNNING` | `UP_DATA_DIR`. */
export async function lockDataDirectory(paths: DataPaths): Promise<Server> {
  try {
    mkdirSync(paths.sockets, { recursive: true, mode: 0o700 });
    requireOurs(paths.sockets);
    const path = join(paths.sockets, 'up.sock');
    for (;;) {
      const server = await listenAt(path);
      if (server) return server;
      await clearStale(path);
    }
  } catch (cause) {
    if (cause instanceof KeywardError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
    throw new KeywardError('UP_DATA_DIR', { detail: `No socket can be made in ${paths.sockets} (${code}).`, cause });
  }
}

/** A long data path has its sockets in the system's temporary directory, where another user could have been first. */
function requireOurs(directory: string): void {
  const found = lstatSync(directory);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return;
  throw new KeywardError('UP_DATA_DIR', { detail: `${directory} must belong to you alone, with mode 0700.` });
}

/** Undefined when something is at the path already. */
function listenAt(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.end());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(path, () => resolve(server));
  });
}

/**
 * Takes away what a killed supervisor left. Of two that start at once, one may move the socket the other has just made:
 * what was moved is asked once more, and put back when it answers.
 */
async function clearStale(path: string): Promise<void> {
  if (await answers(path)) throw new KeywardError('UP_ALREADY_RUNNING');
  const moved = join(dirname(path), `up.${randomBytes(4).toString('hex')}`);
  if (!renameIfThere(path, moved)) return;
  const alive = await answers(moved);
  if (alive) linkSync(moved, path);
  rmSync(moved);
  if (alive) throw new KeywardError('UP_ALREADY_RUNNING');
}

function renameIfThere(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
  });
}
