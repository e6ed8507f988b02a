/** The journal of a load: one line per acknowledged file, so that an interrupted load goes on where it stopped. */
import { createHmac } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readOrCreateSecret } from '../../config/index.ts';
import type { DataPaths } from '../../core/index.ts';
import type { Assigned } from './references.ts';

/** File names stay out: they are often the names of patients. */
const record = z.strictObject({
  /** Keyed pseudonym of the file's content. */
  hash: z.string(),
  resources: z.int(),
  /** Keyed pseudonym of what the file called a resource → what the server assigned. */
  assigned: z.record(z.string(), z.string()),
});
type JournalRecord = z.infer<typeof record>;

export interface Journal {
  has(hash: string): boolean;
  /** Of all files acknowledged so far. */
  readonly assigned: Assigned;
  acknowledge(record: JournalRecord): void;
}

/** Hexadecimal; 128 bits: no two names of a load collide. */
const PSEUDONYM_DIGITS = 32;

const journalFile = (paths: DataPaths): string => join(paths.run, 'demo-load.jsonl');

export function openJournal(paths: DataPaths, { startOver }: { readonly startOver: boolean }): Journal {
  const file = journalFile(paths);
  if (startOver) rmSync(file, { force: true });
  dropUnfinishedLine(file);
  const hashes = new Set<string>();
  const assigned = new Map<string, string>();
  const pseudonym = pseudonymsOf(paths);
  const take = (line: JournalRecord) => {
    hashes.add(line.hash);
    for (const [name, reference] of Object.entries(line.assigned)) assigned.set(name, reference);
  };
  readRecords(file).forEach(take);
  return {
    has: (hash) => hashes.has(pseudonym(hash)),
    assigned: { get: (name) => assigned.get(pseudonym(name)) },
    acknowledge({ hash, resources, assigned: named }) {
      const line = {
        hash: pseudonym(hash),
        resources,
        assigned: Object.fromEntries(Object.entries(named).map(([name, reference]) => [pseudonym(name), reference])),
      };
      mkdirSync(paths.run, { recursive: true, mode: 0o700 });
      appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600, flush: true });
      take(line);
    },
  };
}

/** Record numbers often serve as `urn:uuid:…`, so the names of resources are kept as pseudonyms only this instance can make. */
function pseudonymsOf(paths: DataPaths): (name: string) => string {
  const key = readOrCreateSecret(paths, 'demo-journal');
  return (name) => createHmac('sha256', key).update(name).digest('hex').slice(0, PSEUDONYM_DIGITS);
}

/** The patient that was loaded first, as the server calls it. */
export function firstPatient(paths: DataPaths): string | undefined {
  const references = readRecords(journalFile(paths)).flatMap(({ assigned }) => Object.values(assigned));
  return references.find((reference) => reference.startsWith('Patient/'));
}

/** A last line that a crash cut short is no acknowledgement, and must not swallow the one written next. */
function dropUnfinishedLine(file: string): void {
  const text = readIfThere(file);
  const finished = text.slice(0, text.lastIndexOf('\n') + 1);
  if (finished !== text) truncateSync(file, Buffer.byteLength(finished));
}

const readRecords = (file: string): JournalRecord[] => readIfThere(file).split('\n').slice(0, -1).flatMap(readRecord);

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function readRecord(line: string): JournalRecord[] {
  try {
    return [record.parse(JSON.parse(line))];
  } catch {
    return [];
  }
}
