// `npm start`: installs what is missing, then `keyward up` with the embedded profile. Arguments are handed on.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { installIfMissing, ROOT, runtimePath } from './install.mjs';

/** How often we look whether npm is still there. */
const PARENT_POLL_MS = 250;

installIfMissing({ development: false });
const parent = process.ppid;
const child = spawn(runtimePath(), [join(ROOT, 'packages/server/src/main.ts'), 'up', ...process.argv.slice(2)], {
  stdio: 'inherit',
  cwd: ROOT,
});
let told = false;
const tell = (signal) => {
  told = true;
  child.kill(signal);
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => tell(signal));
// npm tells its shell to end, and not every shell tells us.
setInterval(() => process.ppid === parent || tell('SIGTERM'), PARENT_POLL_MS).unref();
child.on('error', () => {
  console.error(
    'error: the Node.js runtime of this project cannot be started\nhint: remove node_modules and try again',
  );
  process.exit(3);
});
// Told before it could listen, it ends by the signal: as we wanted.
child.on('exit', (code, signal) => process.exit(signal ? Number(!told) : (code ?? 1)));
