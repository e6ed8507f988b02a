/** Whether key files can be read by their owner only. */
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { DataPaths } from '../../core/index.ts';
import type { Finding } from './checks.ts';

/** Permission bits of group and others. */
const NOT_OWNER = 0o077;

export function checkModes(paths: DataPaths): Finding {
  const found = [paths.rootKeyDir, paths.secrets, paths.ca].flatMap(withContents);
  if (found.length === 0) return { level: 'ok', finding: 'none yet' };
  const open = found.filter((path) => (statSync(path).mode & NOT_OWNER) !== 0);
  if (open.length === 0) return { level: 'ok', finding: `${found.length} readable by their owner only` };
  const names = open.map((path) => relative(paths.root, path)).join(', ');
  return {
    level: 'fail',
    finding: `others can read ${names}`,
    hint: `Run "chmod -R go= ${open[0]}", and replace keys that others may have read.`,
  };
}

/** A directory and what lies in it; nothing when it is not there. */
function withContents(directory: string): string[] {
  if (!statSync(directory, { throwIfNoEntry: false })) return [];
  return [directory, ...readdirSync(directory).map((name) => join(directory, name))];
}
