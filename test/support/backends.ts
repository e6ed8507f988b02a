/** Backends of roots and benches from PyPI: installed once through pip into a folder of their own, and remembered. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/keyward');
/** OpenBao is 75 MB to fetch, and moto brings some forty packages. */
const TIMEOUT_MS = 120_000;
/** So long nobody tries again what could not be had: without a network each test would wait for it. */
const MISSING_FOR_MS = 600_000;

export type Tool<What> = What | { readonly missing: string };

export interface PythonTools {
  /** Its Python; `python -m` runs what was installed. */
  readonly python: string;
  /** Folder of the packages. */
  readonly packages: string;
}

/** @param requirement as pip takes it, with a version, e.g. `moto[server]==5.2.5`
 *  @returns why it cannot be had, where Python or its registry is not there */
export function pythonTools(requirement: string): Tool<PythonTools> {
  return remembered(
    requirement,
    (folder) => {
      if (run('python3', ['-m', 'venv', folder]) !== 0) return 'no Python 3 with venv';
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', requirement];
      return run(join(folder, 'bin/python'), pip) === 0 ? undefined : `pip could not fetch ${requirement}`;
    },
    (folder) => {
      const { stdout } = spawnSync(
        join(folder, 'bin/python'),
        ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'],
        {
          encoding: 'utf8',
        },
      );
      return { python: join(folder, 'bin/python'), packages: stdout.trim() };
    },
  );
}

/** The PKCS#11 binding of Node.js, compiled for the runtime that runs the tests. Answers a folder for NODE_PATH. */
export function pkcs11Binding(): Tool<{ readonly nodePath: string }> {
  const name = `pkcs11js@2.1.7`;
  return remembered(
    `${name} ${process.version} ${process.arch}`,
    (folder) => compileBinding(name, folder),
    (folder) => ({
      nodePath: join(folder, 'node_modules'),
    }),
  );
}

/** Headers of the runtime come with its package, so nothing but the sources is fetched. */
function compileBinding(name: string, folder: string): string | undefined {
  const root = join(import.meta.dirname, '../..');
  const headers = join(root, `node_modules/node/node_modules/node-${process.platform}-${process.arch}`);
  if (!existsSync(join(headers, 'include'))) return 'no headers of the runtime';
  if (run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder, name]) !== 0)
    return `npm could not fetch ${name}`;
  const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js');
  const built = run(process.execPath, [gyp, 'rebuild', `--nodedir=${headers}`], join(folder, 'node_modules/pkcs11js'));
  return built === 0 ? undefined : 'no C++ compiler, make or Python 3';
}

/** Made under a draft name: a run that was interrupted, or another at the same time, leaves nothing half-made behind. */
function remembered<What>(
  name: string,
  make: (folder: string) => string | undefined,
  found: (folder: string) => What,
): Tool<What> {
  const folder = join(CACHE, createHash('sha256').update(name).digest('hex').slice(0, 16));
  if (existsSync(folder)) return found(folder);
  const known = knownMissing(`${folder}.missing`);
  if (known !== undefined) return { missing: known };
  mkdirSync(CACHE, { recursive: true });
  const draft = mkdtempSync(`${folder}-`);
  try {
    const missing = make(draft);
    if (missing !== undefined) {
      writeFileSync(`${folder}.missing`, missing);
      return { missing };
    }
    publish(draft, folder);
    return found(folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Why it could not be had a short while ago. */
function knownMissing(marker: string): string | undefined {
  const since = statSync(marker, { throwIfNoEntry: false })?.mtimeMs;
  return since !== undefined && Date.now() - since < MISSING_FOR_MS ? readFileSync(marker, 'utf8') : undefined;
}

function publish(draft: string, folder: string): void {
  try {
    renameSync(draft, folder);
  } catch (error) {
    // Someone else was first.
    if (!existsSync(folder)) throw error;
  }
}

const run = (command: string, args: readonly string[], cwd?: string): number | null =>
  spawnSync(command, args, { stdio: 'ignore', timeout: TIMEOUT_MS, ...(cwd === undefined ? {} : { cwd }) }).status;
