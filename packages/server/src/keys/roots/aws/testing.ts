/** The backend of the AWS KMS tests: moto's server, which keeps keys in memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { pythonTools } from '../../../../../../test/support/backends.ts';
import { freePort } from '../testing.ts';

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 100;

export interface Moto {
  readonly port: number;
  stop(): Promise<void>;
}

export type MotoInstallation = { readonly python: string } | { readonly missing: string };

/** @returns why it cannot be had, where Python or its registry are not there */
export const installMoto = (): MotoInstallation => pythonTools('moto[server]==5.2.5');

export async function startMoto(python: string): Promise<Moto> {
  const port = await freePort();
  const child = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > untilMs) throw new Error('moto does not start');
    await sleep(POLL_MS);
  }
  return {
    port,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const answers = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/moto-api/data.json`).then(
    ({ ok }) => ok,
    () => false,
  );
