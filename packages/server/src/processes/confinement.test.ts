/** What a process under the custodian's flags can and cannot touch, tried by such a process. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { dataPaths } from '../core/index.ts';
import { custodianFlags } from './confinement.ts';

const PROBE = join(import.meta.dirname, 'confinement.child.ts');

/** A data directory as `up` prepares it, with the files that matter. */
function dataDirectory(context: TestContext): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'keyward-confined-'));
  context.after(() => rmSync(dataDir, { recursive: true, force: true }));
  for (const folder of ['root', 'custodian', 'backups', 'run/sockets'])
    mkdirSync(join(dataDir, folder), { recursive: true });
  for (const file of ['ca/ca.key', 'secrets/db-superuser', 'secrets/custodian-gateway', 'postgres/PG_VERSION']) {
    mkdirSync(dirname(join(dataDir, file)), { recursive: true });
    writeFileSync(join(dataDir, file), 'secret');
  }
  return dataDir;
}

const confined = (dataDir: string, yaml?: string) => {
  const configFile = yaml === undefined ? undefined : join(dataDir, 'keyward.yaml');
  if (configFile) writeFileSync(configFile, yaml!);
  const { config } = loadConfig({ file: configFile, env: {} });
  return custodianFlags({ config, configFile, paths: dataPaths(dataDir), env: {} });
};

function tryAll(dataDir: string, flags: readonly string[]): Record<string, string> {
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, PROBE, dataDir], { encoding: 'utf8' });
  assert.match(stdout, /^\{/, stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

test('[K10] the custodian reads its own files and writes where it must, and can do nothing else to the machine', (context) => {
  const dataDir = dataDirectory(context);
  const refused = 'ERR_ACCESS_DENIED';
  assert.deepEqual(tryAll(dataDir, confined(dataDir)), {
    'read the CA key': refused,
    'read a password of another': refused,
    'read the store of the database': refused,
    'read the machine': refused,
    'read its own environment': refused,
    'change a credential': refused,
    'change the code': refused,
    'start a program': refused,
    'start a worker': refused,
    'load native code': 'ERR_DLOPEN_DISABLED',
    'open the debugger': refused,
    'read its credential': 'done',
    'write a root key': 'done',
    'write a backup': 'done',
  });
});

test('[K10] what is refused to the custodian is not refused to the attempts as such', (context) => {
  const dataDir = dataDirectory(context);
  const results = tryAll(dataDir, [
    '--permission',
    '--allow-fs-read=*',
    '--allow-fs-write=/nowhere',
    '--allow-child-process',
  ]);
  for (const name of ['read the CA key', 'read the machine', 'start a program'])
    assert.equal(results[name], 'done', name);
});

test('[K9] only a root that needs another process, or credentials of its own, lets the custodian have them', (context) => {
  const dataDir = dataDirectory(context);
  const root = (settings: string) => confined(dataDir, `keys: { root: { ${settings} } }`);
  const hsm = root('provider: pkcs11, module: /lib/hsm.so, token: t, key: k, pin: { file: /run/pin }');
  const local = root('provider: local, file: /var/lib/keyward/root.key');
  const may = (flags: readonly string[], flag: string) => flags.includes(flag);
  for (const flag of ['--allow-child-process', '--allow-addons', '--allow-fs-read=/run/pin']) {
    assert.equal(may(hsm, flag), true, flag);
    assert.equal(may(local, flag), false, flag);
  }
  assert.equal(may(local, '--allow-fs-write=/var/lib/keyward'), true);
  assert.equal(may(hsm, '--allow-fs-write=/run'), false);
});
