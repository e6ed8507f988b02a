/** Keeps package-lock.json complete for every platform; without that `npm ci`, and so `npm start`, refuses to work. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly version?: string;
        readonly resolved?: string;
        readonly optionalDependencies?: Readonly<Record<string, string>>;
      }
    >
  >;
}

const { packages } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')) as Lock;

test('[S1] the lock file names every optional package of every platform (run "node tools/lock.mjs")', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`${path}/node_modules/${name}`] && !packages[`node_modules/${name}`],
    ),
  );
  assert.deepEqual(missing, []);
});

test('[G4] the lock file names no registry host', () => {
  const hosts = Object.values(packages).flatMap(({ resolved = '' }) => (/^https?:/.test(resolved) ? [resolved] : []));
  assert.deepEqual(hosts, []);
});
