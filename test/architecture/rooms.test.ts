/** Keeps the house in order: a room knows only rooms below it, through their front door. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const PACKAGES = join(import.meta.dirname, '../../packages');
const SERVER = join(PACKAGES, 'server/src');

/** Left to right as in ARCHITECTURE.md; rooms of one row do not know each other. */
const ROWS = [
  ['core'],
  ['config'],
  ['db'],
  ['phi', 'keys', 'ledger', 'identity'],
  ['ca', 'store'],
  ['gateway'],
  ['admin'],
  ['cli'],
  ['processes'],
];
const ROW_OF = new Map(ROWS.flatMap((rooms, row) => rooms.map((room): [string, number] => [room, row])));

interface Import {
  readonly file: string;
  readonly specifier: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:^|\n)\s*(?:import|export)[^;'"]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)/g)].map(
    (match) => ({ file, specifier: match[1] ?? match[2] ?? '' }),
  );
}

const roomOf = (file: string): string => relative(SERVER, file).split('/')[0] ?? '';
const isTest = (file: string): boolean => /(\.test|\/testing|\/fake-[a-z-]+)\.ts$/.test(file);

/** What is wrong with an import, or undefined. */
function complaint({ file, specifier }: Import): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const target = resolve(dirname(file), specifier);
  if (!target.startsWith(SERVER)) return isTest(file) ? undefined : 'leaves its package by a path';
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === to || from === 'main.ts') return undefined;
  if (target !== join(SERVER, to, 'index.ts')) return `enters ${to} past its index.ts`;
  // A test may start rooms to the right of its own; the product may not.
  const [fromRow = -1, toRow = -1] = [ROW_OF.get(from), ROW_OF.get(to)];
  return toRow < fromRow || isTest(file) ? undefined : `${from} may not know ${to}`;
}

test('[S1] every folder of the server is a room of the table', () => {
  const folders = readdirSync(SERVER, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(folders.map(({ name }) => name).toSorted(), [...ROW_OF.keys()].toSorted());
});

test('[S1] a room imports only rooms to its left, through their index.ts', () => {
  const complaints = sourceFiles(SERVER)
    .flatMap(importsOf)
    .flatMap((found) => {
      const what = complaint(found);
      return what ? [`${relative(PACKAGES, found.file)} → ${found.specifier}: ${what}`] : [];
    });
  assert.deepEqual(complaints, []);
});

test('[S1] the rule itself refuses an import to the right and one past a front door', () => {
  const from = (room: string, specifier: string) => complaint({ file: join(SERVER, room, 'some.ts'), specifier });
  assert.equal(from('phi', '../keys/index.ts'), 'phi may not know keys');
  assert.equal(from('core', '../config/index.ts'), 'core may not know config');
  assert.equal(from('gateway', '../phi/walk.ts'), 'enters phi past its index.ts');
  assert.equal(from('gateway', '../phi/index.ts'), undefined);
});

test('[S5] the SDK has no third-party dependency and does not know the server', () => {
  const files = sourceFiles(join(PACKAGES, 'sdk/src')).filter((file) => !isTest(file));
  const foreign = files
    .flatMap(importsOf)
    .filter(({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'));
  assert.deepEqual(foreign, []);
});

test('[S1] every file of the product says in its first line what it is', () => {
  const files = ['sdk/src', 'server/src'].flatMap((folder) => sourceFiles(join(PACKAGES, folder)));
  const silent = files.filter(
    (file) =>
      !isTest(file) &&
      !file.includes('/generated/') &&
      !file.endsWith('/index.ts') &&
      !readFileSync(file, 'utf8').startsWith('/**'),
  );
  assert.deepEqual(
    silent.map((file) => relative(PACKAGES, file)),
    [],
  );
});
