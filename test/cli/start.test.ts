/** Starting, stopping and not starting: what a newcomer and an operator meet, with real processes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '../../packages/server/src/core/index.ts';
import { connectionFor, openPool } from '../../packages/server/src/db/index.ts';
import { runningOn } from '../support/processes.ts';
import { MAIN, newProduct, type Product, ROOT } from '../support/product.ts';
import { assertNothingRuns, assertRefused, runToEnd } from '../support/refused-start.ts';

const POLL_MS = 10;

/** Leaves a socket behind that nobody listens on, as a killed supervisor does. */
const LEAVE_SOCKET =
  "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";

/** Container engines kill after ten seconds. */
const STOP_LIMIT_MS = 10_000;

const isRoot = process.getuid?.() === 0;
const folder = mkdtempSync(join(tmpdir(), 'keyward-start-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file into the folder of this test; answers its path. */
function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

interface Unusable {
  readonly title: string;
  readonly code: ErrorCode;
  readonly names: RegExp;
  readonly args?: () => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly dataDir?: () => string;
  readonly skip?: string | false;
}

/** What is found out before anything is started. */
const BEFORE_ANYTHING: readonly Unusable[] = [
  {
    title: 'one port for both the gateway and the admin API',
    code: 'UP_PORT_TAKEN',
    names: /Port 29443 on 127\.0\.0\.1/,
    args: () => ['--gateway-port', '29443', '--admin-port', '29443'],
  },
  {
    title: 'an address of another machine',
    code: 'UP_ADDRESS_REFUSED',
    names: /on 192\.0\.2\.1: this machine does not have that address/,
    env: { KEYWARD_ADMIN_HOST: '192.0.2.1', KEYWARD_GATEWAY_PORT: '29444' },
  },
  {
    title: 'a data directory below a file',
    code: 'UP_DATA_DIR',
    names: /a-file/,
    dataDir: () => join(file('a-file', ''), 'data'),
  },
  {
    title: 'a data directory that may not be written',
    code: 'UP_DATA_DIR',
    names: /read-only/,
    dataDir: () => join(readOnlyFolder(), 'data'),
    skip: isRoot && 'root may write everywhere',
  },
  {
    title: 'a configuration file that is not there',
    code: 'CONFIG_UNREADABLE',
    names: /cannot be read/,
    args: () => ['--config', join(folder, 'none.yaml')],
  },
  {
    title: 'a configuration file that is not YAML',
    code: 'CONFIG_INVALID',
    names: /not YAML/,
    args: () => ['--config', file('broken.yaml', 'gateway: [\n')],
  },
  {
    title: 'an unknown configuration key',
    code: 'CONFIG_INVALID',
    names: /unknown key gatway/,
    args: () => ['--config', file('unknown.yaml', 'gatway:\n  port: 1\n')],
  },
  {
    title: 'an unknown environment variable',
    code: 'CONFIG_INVALID',
    names: /KEYWARD_GATEWAY_PROT/,
    env: { KEYWARD_GATEWAY_PROT: '1' },
  },
];

function readOnlyFolder(): string {
  const path = join(folder, 'read-only');
  mkdirSync(path, { mode: 0o500 });
  return path;
}

describe('what keeps it from starting at all', () => {
  for (const { title, skip = false, dataDir, args, ...rest } of BEFORE_ANYTHING)
    test(`[S1] ${title}: one line, a hint and a status`, { skip }, () =>
      assertRefused({ ...rest, dataDir: dataDir?.() ?? join(folder, 'unused'), args: args?.() ?? [] }),
    );
});

interface Damage {
  readonly title: string;
  readonly code: ErrorCode;
  readonly names: RegExp;
  readonly args?: () => readonly string[];
  /** Does the damage; answers how to undo it. */
  readonly harm?: (product: Product) => () => void;
}

/** Done to an instance that ran: found out by PostgreSQL or by a process, so that others have to be stopped again. */
const DAMAGES: readonly Damage[] = [
  {
    title: 'the root key is lost',
    code: 'KEYS_ROOT_UNREADABLE',
    names: /is missing/,
    harm: ({ paths }) => moved(join(paths.rootKeyDir, 'root.key')),
  },
  {
    title: 'the root key is another one',
    code: 'KEYS_ROOT_MISMATCH',
    names: /does not open/,
    harm: ({ paths }) => replaced(join(paths.rootKeyDir, 'root.key'), (bytes) => bytes.map((byte) => byte ^ 0x5a)),
  },
  {
    title: 'others may read the root key',
    code: 'KEYS_ROOT_UNREADABLE',
    names: /rights/,
    harm({ paths }) {
      const path = join(paths.rootKeyDir, 'root.key');
      chmodSync(path, 0o644);
      return () => chmodSync(path, 0o600);
    },
  },
  {
    title: 'a database password is lost',
    code: 'UP_DATA_DIR',
    names: /secrets\//,
    harm: ({ paths }) => moved(join(paths.secrets, 'db-superuser')),
  },
  {
    title: 'the access policy is not valid',
    code: 'CONFIG_INVALID',
    names: /access policy/i,
    args: () => [
      '--config',
      file('policy.keyward.yaml', `gateway: { policyFile: '${file('policy.yaml', 'version: 2\n')}' }\n`),
    ],
  },
];

function moved(path: string): () => void {
  renameSync(path, `${path}.away`);
  return () => renameSync(`${path}.away`, path);
}

function replaced(path: string, change: (bytes: Buffer) => Uint8Array): () => void {
  const bytes = readFileSync(path);
  writeFileSync(path, change(bytes));
  return () => writeFileSync(path, bytes);
}

describe('an instance whose data path has spaces, other scripts, and no room for a socket', () => {
  let product: Product;
  const ports = () => ['--gateway-port', String(product.gatewayPort), '--admin-port', String(product.adminPort)];

  before(async () => {
    const dataDir = join(folder, 'a b ü 患者', 'long'.repeat(25));
    mkdirSync(dataDir, { recursive: true });
    product = await newProduct({ dataDir });
    await product.start();
  });
  after(() => rmSync(product.paths.sockets, { recursive: true, force: true }));

  test('[S1] a second start on the same data is refused, and leaves the first alone', async () => {
    const { status, err } = await runToEnd([MAIN, 'up', '--data-dir', product.dataDir, ...ports()]);
    assert.match(err, /^error: UP_ALREADY_RUNNING [^\n]+\nhint: [^\n]+\n$/);
    assert.equal(status, 3);
    assert.equal((await product.call(product.gatewayPort, { path: '/readyz' })).status, 200);
  });

  for (const [title, option, port] of [
    ['the port of the gateway', '--gateway-port', () => product.gatewayPort],
    ['the port of the admin API', '--admin-port', () => product.adminPort],
  ] as const)
    test(`[S1] ${title} is taken: it is named`, () =>
      assertRefused({
        dataDir: join(folder, 'unused'),
        env: { KEYWARD_GATEWAY_PORT: '29445', KEYWARD_ADMIN_PORT: '29446' },
        args: [option, String(port())],
        code: 'UP_PORT_TAKEN',
        names: new RegExp(`Port ${port()} `),
      }));

  test('[S1] Ctrl-C that arrives twice, from the terminal and from npm, stops everything in order with status 0', async () => {
    const startedMs = performance.now();
    const ended = product.stop('SIGINT');
    process.kill(product.pid, 'SIGINT');
    assert.equal(await ended, 0);
    assert.ok(performance.now() - startedMs < STOP_LIMIT_MS);
    await assertNothingRuns(product.dataDir);
  });

  for (const { title, code, names, args, harm } of DAMAGES)
    test(`[S1] ${title}: one line, a hint, a status, and nothing left running`, async () => {
      const undo = harm?.(product) ?? (() => undefined);
      try {
        await assertRefused({ dataDir: product.dataDir, args: [...ports(), ...(args?.() ?? [])], code, names });
      } finally {
        undo();
      }
    });

  test('[S1] SIGTERM while it starts: it does not become ready, and ends with status 0', async () => {
    const starting = assert.rejects(product.start(), /up ended with 0/);
    while (!existsSync(join(product.paths.postgres, 'postmaster.pid'))) await sleep(POLL_MS);
    await product.stop();
    await starting;
    await assertNothingRuns(product.dataDir);
  });

  test('[S1] `npm start` whose shell is ended stops everything, though nobody tells it', async () => {
    const command = [process.execPath, join(ROOT, 'tools/start.mjs'), '--data-dir', product.dataDir, ...ports()];
    // The shell stays, as npm's does, and takes the signal for itself.
    const shell = spawn('sh', ['-c', '"$@"; exit', 'sh', ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    shell.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    while (!said.includes('keyward is ready') && shell.exitCode === null) await sleep(POLL_MS);
    shell.kill('SIGTERM');
    const giveUpAt = performance.now() + STOP_LIMIT_MS;
    while ((await runningOn(product.dataDir)).length > 0 && performance.now() < giveUpAt) await sleep(POLL_MS);
    assert.match(said, /keyward is ready/);
    await assertNothingRuns(product.dataDir);
  });

  test('[S1] of two started at once after a crash, one becomes ready and the other is refused', async () => {
    await runToEnd(['-e', LEAVE_SOCKET, join(product.paths.sockets, 'up.sock')]);
    const rivals = [product, await newProduct({ dataDir: product.dataDir })];
    const starts = await Promise.allSettled(rivals.map((rival) => rival.start()));
    const refused = starts.flatMap((start) => (start.status === 'rejected' ? [String(start.reason)] : []));
    assert.equal(refused.length, 1, refused.join('\n'));
    assert.match(String(refused[0]), /error: UP_ALREADY_RUNNING/);
    product = rivals[starts.findIndex(({ status }) => status === 'fulfilled')] ?? product;
  });

  test('[S1] it starts again on its data, and a database of a newer Keyward is refused', async () => {
    const pool = openPool(connectionFor(product.paths, 'store'), { max: 1, applicationName: 'test' });
    await pool.query("INSERT INTO keyward_schema VALUES ('store', 999, 'of tomorrow', '')");
    await pool.end();
    assert.equal(await product.stop(), 0);
    const names = /store, migration 999/;
    await assertRefused({ dataDir: product.dataDir, args: ports(), code: 'DB_SCHEMA_NEWER', names });
  });
});
