/** The cluster directory: made once by initdb, complete or not there at all. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type DataPaths, KeywardError } from '../core/index.ts';
import type { ServerAccount } from './account.ts';
import { missingLibrary } from './binaries.ts';
import { SUPERUSER_ROLE } from './connection.ts';

/** How the programs see the cluster: root's directories above it cannot be entered by the account that runs them. */
export interface RunAs {
  readonly cwd: string;
  /** Value of `-D`. */
  readonly dataDir: string;
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

/** `/proc/self/cwd` leads to the directory the process was started in, without rights on the directories above. */
export function runAs(clusterDir: string, account: ServerAccount | undefined): RunAs {
  return account
    ? { cwd: clusterDir, dataDir: '/proc/self/cwd', identity: { uid: account.uid, gid: account.gid } }
    : { cwd: clusterDir, dataDir: clusterDir, identity: {} };
}

/** Owner of the cluster, or undefined when there is none yet. */
export function clusterOwner(paths: DataPaths): number | undefined {
  return fs.statSync(paths.postgres, { throwIfNoEntry: false })?.uid;
}

const isComplete = (paths: DataPaths): boolean => fs.existsSync(join(paths.postgres, 'PG_VERSION'));

export interface ClusterInputs {
  readonly paths: DataPaths;
  readonly initdb: string;
  readonly account: ServerAccount | undefined;
  readonly superuserPassword: string;
}

/** Makes the cluster unless it is there. A first start that was killed half-way leaves only a draft, which is thrown away. */
export async function ensureCluster(inputs: ClusterInputs): Promise<void> {
  const { paths, account } = inputs;
  if (isComplete(paths)) return;
  const draft = `${paths.postgres}.draft`;
  try {
    fs.rmSync(draft, { recursive: true, force: true });
    fs.mkdirSync(draft, { recursive: true, mode: 0o700 });
    if (account) fs.chownSync(draft, account.uid, account.gid);
    await initialise(inputs, draft);
    fs.renameSync(draft, paths.postgres);
  } catch (cause) {
    throw cause instanceof KeywardError ? cause : unusable(cause);
  }
}

export const unusable = (cause: unknown): KeywardError =>
  new KeywardError('UP_DATA_DIR', { detail: `The database directory cannot be made (${errorCode(cause)}).`, cause });

const errorCode = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown reason';

async function initialise(inputs: ClusterInputs, draft: string): Promise<void> {
  const { cwd, dataDir, identity } = runAs(draft, inputs.account);
  const options = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--data-checksums'];
  const args = ['-D', dataDir, `--username=${SUPERUSER_ROLE}`, '--pwfile=/dev/stdin', ...options];
  const password = passwordDescriptor(inputs);
  try {
    const child = spawn(inputs.initdb, args, { cwd, env: {}, stdio: [password, 'ignore', 'pipe'], ...identity });
    const { status, stderr } = await outcome(child);
    if (status !== 0) throw initdbFailure(stderr);
  } finally {
    fs.closeSync(password);
  }
}

/**
 * An open file that holds the password and has no name any more: initdb opens /dev/stdin again by itself, which a pipe
 * of Node's (a socket) does not allow, and a named file would lie where its user cannot look.
 */
function passwordDescriptor({ paths, account, superuserPassword }: ClusterInputs): number {
  const file = join(paths.secrets, `initdb.${process.pid}`);
  fs.mkdirSync(paths.secrets, { recursive: true, mode: 0o700 });
  fs.writeFileSync(file, superuserPassword, { mode: 0o600 });
  try {
    if (account) fs.chownSync(file, account.uid, account.gid);
    return fs.openSync(file, 'r');
  } finally {
    fs.rmSync(file);
  }
}

function outcome(child: ReturnType<typeof spawn>): Promise<{ status: number | null; stderr: string }> {
  return new Promise((resolve, reject) => {
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stderr }));
  });
}

/** What initdb writes when it fails, and the code that tells what to do. */
const INITDB_FAILURES = [
  {
    pattern: /could not look up effective user ID/,
    code: 'DB_BINARY',
    detail: 'The user id Keyward runs under has no entry in /etc/passwd.',
  },
  { pattern: /No space left on device/, code: 'UP_DATA_DIR', detail: 'There is no space left for the database.' },
  {
    pattern: /Permission denied|Operation not permitted|Read-only file system/,
    code: 'UP_DATA_DIR',
    detail: 'PostgreSQL may not write to the database directory.',
  },
] as const;

function initdbFailure(stderr: string): KeywardError {
  const known = INITDB_FAILURES.find(({ pattern }) => pattern.test(stderr));
  if (known) return new KeywardError(known.code, { detail: known.detail });
  const library = missingLibrary(stderr);
  const detail = library ? `The shared library ${library} is missing.` : 'initdb could not make a database.';
  return new KeywardError('DB_BINARY', { detail, cause: new Error(stderr) });
}
