/** The custodian's Unix socket: reachable for this user only, and free of what a killed predecessor left. */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { KeywardError } from '../../core/index.ts';

/** @throws KeywardError `UP_DATA_DIR` when another user owns the directory, `UP_ALREADY_RUNNING` when somebody listens */
export async function prepareSocket(socketPath: string): Promise<void> {
  const directory = dirname(socketPath);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  requireOwn(directory);
  chmodSync(directory, 0o700);
  if (await somebodyListens(socketPath)) throw new KeywardError('UP_ALREADY_RUNNING');
  rmSync(socketPath, { force: true });
}

/** The directory may lie under a shared one, where another user could have made it first. */
function requireOwn(directory: string): void {
  const stats = lstatSync(directory);
  if (stats.isDirectory() && stats.uid === process.getuid?.()) return;
  throw new KeywardError('UP_DATA_DIR', { detail: 'The directory for sockets belongs to another user.' });
}

function somebodyListens(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath);
    const answer = (listens: boolean) => {
      probe.destroy();
      resolve(listens);
    };
    probe.once('connect', () => answer(true));
    probe.once('error', () => answer(false));
  });
}
