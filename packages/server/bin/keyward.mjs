#!/usr/bin/env node
// Starts the product's TypeScript on a runtime that strips types: this Node when it is new enough, else the one npm installed.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = new URL('../src/main.ts', import.meta.url);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major > 24 || (major === 24 && minor >= 12)) {
  const { run } = await import(MAIN.href);
  await run(process.argv.slice(2));
} else {
  const child = spawn(installedRuntime(), [fileURLToPath(MAIN), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', endWithoutRuntime);
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}

function installedRuntime() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
  } catch {
    return endWithoutRuntime();
  }
}

function endWithoutRuntime() {
  console.error('error: the Node.js runtime of this project is missing\nhint: run "npm ci" and try again');
  process.exit(3);
}
