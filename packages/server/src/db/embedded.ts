/** The embedded PostgreSQL: a real server in the data directory, started, watched and stopped by one Keyward process. */
import * as fs from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataPaths, KeywardError, type Log } from '../core/index.ts';
import { chooseAccount, type ServerAccount } from './account.ts';
import { installedHome, missingLibrary, reachableBinaries } from './binaries.ts';
import { clusterOwner, ensureCluster, runAs, unusable } from './cluster.ts';
import { addressFile, lastAddress } from './connection.ts';
import { clearLeftovers, startPostmaster } from './postmaster.ts';
import { serverArguments } from './settings.ts';

const HOST = '127.0.0.1';

/** How long backends of a killed server may keep its shared memory. */
const SHARED_MEMORY_WAIT_MS = 20_000;
const RETRY_PAUSE_MS = 250;

export interface EmbeddedPostgres {
  readonly host: typeof HOST;
  readonly port: number;
  readonly pid: number;
  /** Exit status; null after a signal. */
  readonly exited: Promise<number | null>;
  stop(): Promise<void>;
}

export interface EmbeddedPostgresInputs {
  readonly paths: DataPaths;
  readonly superuserPassword: string;
  readonly log: Log;
  /** Takes one line for the operator about the account PostgreSQL runs under. */
  readonly onNotice: (line: string) => void;
}

/**
 * The caller holds the lock of the data directory: a server found running on it is a leftover and is stopped.
 * @throws KeywardError `DB_BINARY` | `UP_DATA_DIR` | `UP_CHILD_FAILED`
 */
export async function startEmbeddedPostgres(inputs: EmbeddedPostgresInputs): Promise<EmbeddedPostgres> {
  const { paths, superuserPassword } = inputs;
  makeDirectories(paths);
  const account = findAccount(paths);
  const { binaries, copied } = reachableBinaries(installedHome(), account);
  if (account) inputs.onNotice(notice(account, copied));
  await ensureCluster({ paths, initdb: binaries.initdb, account, superuserPassword });
  await clearLeftovers(paths.postgres);
  const { server, port } = await startAndWait(inputs, binaries.postgres, account);
  writeAddress(paths, port);
  inputs.log.info('database started', { pid: server.pid, port });
  return { host: HOST, port, pid: server.pid, exited: server.exited, stop: () => server.stop() };
}

const notice = (account: ServerAccount, copied: string | undefined): string =>
  `PostgreSQL does not run as root: it runs as user "${account.name}"${copied ? `, from a copy in ${copied}` : ''}`;

function makeDirectories(paths: DataPaths): void {
  try {
    for (const directory of [paths.root, paths.logs, paths.run]) {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      fs.accessSync(directory, fs.constants.W_OK | fs.constants.X_OK);
    }
  } catch (cause) {
    throw unusable(cause);
  }
}

function findAccount(paths: DataPaths): ServerAccount | undefined {
  return chooseAccount({
    uid: process.getuid?.(),
    platform: process.platform,
    passwd: fs.existsSync('/etc/passwd') ? fs.readFileSync('/etc/passwd', 'utf8') : '',
    clusterOwner: clusterOwner(paths),
  });
}

/** What the server writes when it does not come up. */
type StartFailure = 'port taken' | 'shared memory in use' | 'final';

/** Starts until it is ready; a taken port and the memory of a killed predecessor are worth another try. */
async function startAndWait(inputs: EmbeddedPostgresInputs, postgres: string, account: ServerAccount | undefined) {
  const { paths } = inputs;
  const giveUpAt = performance.now() + SHARED_MEMORY_WAIT_MS;
  for (let port = await freePort(lastAddress(paths)?.port); ; ) {
    const { server, said } = await startOnce(paths, postgres, account, port);
    if (server) return { server, port };
    const failure = classify(said);
    if (failure === 'final' || performance.now() > giveUpAt) throw startFailed(said);
    if (failure === 'port taken') port = await freePort();
    await sleep(RETRY_PAUSE_MS);
  }
}

async function startOnce(paths: DataPaths, postgres: string, account: ServerAccount | undefined, port: number) {
  const file = join(paths.logs, 'postgres.log');
  const logFile = fs.openSync(file, 'a', 0o600);
  const offset = fs.fstatSync(logFile).size;
  try {
    const as = runAs(paths.postgres, account);
    const args = serverArguments(as.dataDir, HOST, port);
    const server = await startPostmaster({ postgres, args, runAs: as, logFile });
    return (await server.ready()) ? { server, said: '' } : { said: textAfter(file, offset) };
  } finally {
    fs.closeSync(logFile);
  }
}

const textAfter = (file: string, offset: number): string => fs.readFileSync(file).subarray(offset).toString('utf8');

function classify(said: string): StartFailure {
  if (/could not (bind|create any TCP\/IP sockets)/.test(said)) return 'port taken';
  if (/pre-existing shared memory block|lock file "postmaster\.pid" already exists/.test(said))
    return 'shared memory in use';
  return 'final';
}

/** What the server writes when it cannot start, and the code that tells what to do. */
const START_FAILURES = [
  {
    pattern: /database files are incompatible with server/,
    code: 'UP_DATA_DIR',
    detail: 'The database in it was made by another PostgreSQL version.',
  },
  { pattern: /No space left on device/, code: 'UP_DATA_DIR', detail: 'There is no space left for the database.' },
  {
    pattern: /Permission denied|Read-only file system/,
    code: 'UP_DATA_DIR',
    detail: 'PostgreSQL may not write to the database directory.',
  },
] as const;

function startFailed(said: string): KeywardError {
  const library = missingLibrary(said);
  if (library) return new KeywardError('DB_BINARY', { detail: `The shared library ${library} is missing.` });
  const known = START_FAILURES.find(({ pattern }) => pattern.test(said));
  if (known) return new KeywardError(known.code, { detail: known.detail });
  return new KeywardError('UP_CHILD_FAILED', { detail: 'PostgreSQL did not start; logs/postgres.log tells why.' });
}

/** The wanted port if nobody has it, else one the system chooses. */
async function freePort(wanted = 0): Promise<number> {
  try {
    return await tryPort(wanted);
  } catch {
    return tryPort(0);
  }
}

function tryPort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(wanted, HOST, () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

/** Whole or not at all: processes read it at any time. */
function writeAddress(paths: DataPaths, port: number): void {
  const draft = `${addressFile(paths)}.draft`;
  fs.writeFileSync(draft, JSON.stringify({ host: HOST, port }), { mode: 0o600 });
  fs.renameSync(draft, addressFile(paths));
}
