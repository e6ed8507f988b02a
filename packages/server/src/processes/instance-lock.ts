/** One supervisor per data directory: it holds a Unix socket, which ends with its process, however that ends. */
import { mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type DataPaths, KeywardError } from '../core/index.ts';

/** @throws KeywardError `UP_ALREADY_RUNNING`. */
export async function lockDataDirectory(paths: DataPaths): Promise<Server> {
  mkdirSync(paths.sockets, { recursive: true, mode: 0o700 });
  const path = join(paths.sockets, 'up.sock');
  if (await answers(path)) throw new KeywardError('UP_ALREADY_RUNNING');
  rmSync(path, { force: true });
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  server.unref();
  return server;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
  });
}
