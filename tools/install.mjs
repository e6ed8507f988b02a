// Installs what package-lock.json names, when it is not there yet; needs only Node 20 and npm.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const STAMP = join(ROOT, 'node_modules', '.keyward-installed');

export const runtimePath = () => join(ROOT, 'node_modules', 'node', 'bin', 'node');

/** Runs `npm ci` unless node_modules holds what the lock file names; `development` adds the tools that tests need. */
export function installIfMissing({ development }) {
  const lock = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  const installed = existsSync(STAMP) ? readFileSync(STAMP, 'utf8').split(' ') : [];
  const enough = installed[0] === lock && (installed[1] === 'development' || !development);
  if (enough && existsSync(runtimePath())) return;
  console.log(`installing ${development ? 'Keyward and its development tools' : 'Keyward'} (npm ci) …`);
  const { status } = spawnSync('npm', ['ci', ...(development ? [] : ['--omit=dev'])], {
    cwd: ROOT,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0 || !existsSync(runtimePath())) {
    console.error('error: the packages could not be installed\nhint: run "npm ci" here and read what it says');
    process.exit(3);
  }
  writeFileSync(STAMP, `${lock} ${development ? 'development' : 'production'}`);
}
