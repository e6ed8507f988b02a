/** The FHIR resources of files and folders, one at a time: JSON, NDJSON, and standard input. */
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Json } from '@keyward/sdk/seal';
import { asKeywardError, KeywardError, parseJson } from '../../core/index.ts';
import { type FhirResource, isResourceType } from '../../phi/index.ts';
import { isObject, listAt, textAt } from '../json.ts';

const STANDARD_INPUT = '-';
/** File descriptor of standard input. */
const STDIN = 0;

/** @throws KeywardError `CLI_INPUT`, naming file and line, never what stands there */
export async function* readResources(paths: readonly string[]): AsyncGenerator<FhirResource> {
  const files = paths.flatMap(expand);
  if (files.length === 0) throw new KeywardError('CLI_INPUT', { detail: 'there is no .json or .ndjson file' });
  for (const file of files) {
    if (file.endsWith('.ndjson')) yield* linesOf(file);
    else yield* resourcesIn(parsed(read(file), nameOf(file)), nameOf(file));
  }
}

const nameOf = (file: string): string => (file === STANDARD_INPUT ? 'standard input' : file);

function expand(path: string): string[] {
  if (path === STANDARD_INPUT) return [path];
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new KeywardError('CLI_INPUT', { detail: `there is no ${path}` });
  if (found.isFile()) return [path];
  const names = readdirSync(path, { encoding: 'utf8', recursive: true });
  return names
    .filter((name) => /\.(nd)?json$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file === STANDARD_INPUT ? STDIN : file);
  } catch (cause) {
    throw new KeywardError('CLI_INPUT', { detail: `${nameOf(file)} cannot be read`, cause });
  }
}

async function* linesOf(file: string): AsyncGenerator<FhirResource> {
  let number = 0;
  // Byte for character, so that what is not UTF-8 is refused like anywhere else.
  const input = createReadStream(file, 'latin1');
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    const where = `${file}, line ${number}`;
    if (line.trim() !== '') yield* resourcesIn(parsed(Buffer.from(line, 'latin1'), where), where);
  }
}

function parsed(bytes: Uint8Array, where: string): Json {
  try {
    return parseJson(bytes);
  } catch (cause) {
    throw new KeywardError('CLI_INPUT', { detail: `${where}: ${asKeywardError(cause).code}`, cause });
  }
}

/** Bundles that are one record each; of the others every entry is a record of its own. */
const SEALED_WHOLE: ReadonlySet<string | undefined> = new Set(['document', 'message']);

export function* resourcesIn(value: Json, where: string): Generator<FhirResource> {
  const type = textAt(value, 'resourceType');
  if (!isObject(value) || type === undefined || !isResourceType(type))
    throw new KeywardError('CLI_INPUT', { detail: `${where} is no R4 resource` });
  const isWhole = type !== 'Bundle' || SEALED_WHOLE.has(textAt(value, 'type'));
  if (isWhole) yield value as FhirResource;
  for (const entry of isWhole ? [] : listAt(value, 'entry'))
    if (isObject(entry) && entry['resource'] !== undefined) yield* resourcesIn(entry['resource'], where);
}
