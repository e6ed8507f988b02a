// Installs what package-lock.json names, when it is not there yet; needs only Node 20 and npm.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const WANTED = join(ROOT, 'package-lock.json');
/** npm's own record of what it installed, written when it is done. */
const INSTALLED = join(ROOT, 'node_modules', '.package-lock.json');

export const runtimePath = () => join(ROOT, 'node_modules', 'node', 'bin', 'node');

/** Runs `npm ci` unless node_modules holds what the lock file names; `development` adds the tools that tests need. */
export function installIfMissing({ development }) {
  if (isInstalled(development)) return;
  console.log(`installing ${development ? 'Keyward and its development tools' : 'Keyward'} (npm ci) …`);
  const { status } = spawnSync('npm', ['ci', ...(development ? [] : ['--omit=dev'])], {
    cwd: ROOT,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status === 0 && existsSync(runtimePath())) return;
  console.error('error: the packages could not be installed\nhint: run "npm ci" here and read what it says');
  process.exit(3);
}

function isInstalled(development) {
  if (!existsSync(INSTALLED) || !existsSync(runtimePath())) return false;
  const installed = packagesOf(INSTALLED);
  return Object.entries(packagesOf(WANTED))
    .filter(([path, { dev }]) => path.startsWith('node_modules/') && (development || !dev))
    .every(([path, wanted]) => installed[path]?.version === wanted.version || mayBeMissing(path, wanted, installed));
}

/** npm leaves out optional packages for other platforms. */
const mayBeMissing = (path, { optional, devOptional }, installed) =>
  Boolean(optional || devOptional) && installed[path] === undefined;

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
