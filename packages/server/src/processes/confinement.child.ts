/** Tries what the custodian's process must not be able to do, under its flags; prints what came of each. For tests. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { open as openInspector } from 'node:inspector';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { writeDurably } from '../core/index.ts';

/** By name, in a data directory. */
const ATTEMPTS: Readonly<Record<string, (dataDir: string) => unknown>> = {
  'read the CA key': (dataDir) => readFileSync(join(dataDir, 'ca', 'ca.key')),
  'read a password of another': (dataDir) => readFileSync(join(dataDir, 'secrets', 'db-superuser')),
  'read the store of the database': (dataDir) => readFileSync(join(dataDir, 'postgres', 'PG_VERSION')),
  'read the machine': () => readFileSync('/etc/passwd'),
  'read its own environment': () => readFileSync('/proc/self/environ'),
  'change a credential': (dataDir) => writeFileSync(join(dataDir, 'secrets', 'custodian-gateway'), 'x'),
  'change the code': () => writeFileSync(import.meta.filename, ''),
  'start a program': () => execFileSync('/bin/sh', ['-c', 'true']),
  'start a worker': () => new Worker('', { eval: true }),
  'load native code': () => process.dlopen({ exports: {} }, join(import.meta.dirname, 'addon.node')),
  'open the debugger': () => openInspector(0),
  'read its credential': (dataDir) => readFileSync(join(dataDir, 'secrets', 'custodian-gateway')),
  'write a root key': (dataDir) =>
    writeDurably({ file: join(dataDir, 'root', 'root.key'), content: new Uint8Array(32), mode: 0o600, replace: false }),
  'write a backup': (dataDir) => writeFileSync(join(dataDir, 'backups', 'one'), ''),
};

function attempt(act: () => unknown): string {
  try {
    act();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed';
  }
}

if (import.meta.main) {
  const dataDir = process.argv[2]!;
  const results = Object.entries(ATTEMPTS).map(([name, act]) => [name, attempt(() => act(dataDir))]);
  process.stdout.write(JSON.stringify(Object.fromEntries(results)));
}
