/** The files of a load, in the order in which later ones may refer to earlier ones. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { KeywardError } from '../../core/index.ts';

/** Patients refer to practitioners and these to hospitals; everything else comes after both. */
const FIRST = ['hospital', 'practitioner'];

/** @throws KeywardError `CLI_INPUT` when a path is not there or nothing was found. */
export function findFhirFiles(paths: readonly string[]): string[] {
  const files = paths.flatMap(expand);
  if (files.length === 0) throw new KeywardError('CLI_INPUT', { detail: 'there is no .json file' });
  return [...new Set(files)].sort(byRank);
}

function expand(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new KeywardError('CLI_INPUT', { detail: `there is no ${path}` });
  if (found.isFile()) return [path];
  return readdirSync(path, { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(path, name));
}

function byRank(left: string, right: string): number {
  return rank(left) - rank(right) || (left < right ? -1 : 1);
}

function rank(file: string): number {
  const name = basename(file).toLowerCase();
  const found = FIRST.findIndex((prefix) => name.startsWith(prefix));
  return found === -1 ? FIRST.length : found;
}
