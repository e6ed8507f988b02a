// `npm start`: installs what is missing, then `keyward up` with the embedded profile. Arguments are handed on.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { installIfMissing, ROOT, runtimePath } from './install.mjs';

installIfMissing({ development: false });
const child = spawn(runtimePath(), [join(ROOT, 'packages/server/src/main.ts'), 'up', ...process.argv.slice(2)], {
  stdio: 'inherit',
  cwd: ROOT,
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
