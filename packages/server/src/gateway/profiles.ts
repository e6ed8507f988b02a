/** Reads the profiles that the configuration lists, and compiles them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '@keyward/sdk/seal';
import type { Config } from '../config/index.ts';
import { asKeywardError, KeywardError, parseJson } from '../core/index.ts';
import { compileProfiles, type Profiles } from '../phi/index.ts';

/** @throws KeywardError `FHIR_PROFILE_UNUSABLE` */
export function loadProfiles(entries: Config['gateway']['profiles']): Profiles {
  return compileProfiles(
    entries.map(({ files, appliesTo, unchecked }) => ({
      documents: files.flatMap(readDocuments),
      appliesTo,
      unchecked,
    })),
  );
}

/** One file, or every JSON file of a folder (not of the folders in it). */
function readDocuments(path: string): Json[] {
  try {
    if (!statSync(path).isDirectory()) return [parseJson(readFileSync(path))];
    const names = readdirSync(path).filter((name) => name.endsWith('.json'));
    if (names.length > 0) return names.sort().map((name) => parseJson(readFileSync(join(path, name))));
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw unreadable(path, undefined);
}

function unreadable(path: string, cause: unknown): KeywardError {
  const { code } = asKeywardError(cause);
  const why = code.startsWith('JSON_')
    ? `a document in it is not acceptable (${code}).`
    : 'it cannot be read, or holds no JSON.';
  return new KeywardError('FHIR_PROFILE_UNUSABLE', { detail: `${path}: ${why}`, cause });
}
