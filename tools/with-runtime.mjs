// Runs a TypeScript file on the runtime that npm installed: `node tools/with-runtime.mjs FILE [ARGUMENT…]`.
import { spawn } from 'node:child_process';
import { runtimePath, installIfMissing } from './install.mjs';

installIfMissing({ development: true });
const child = spawn(runtimePath(), process.argv.slice(2), { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
