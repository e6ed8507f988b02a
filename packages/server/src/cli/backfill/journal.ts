/** The journal of a backfill: how far each type has come, so that an interrupted run goes on where it stopped. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { DataPaths } from '../../core/index.ts';

const count = z.int().min(0);

const typeRecord = z.strictObject({
  /** Page to go on with, an opaque text of the gateway; '' for the first. */
  page: z.string(),
  /** Walks over the type so far, this one included. */
  pass: count,
  /** Done before this walk began: it finds them done. */
  earlier: count,
  finished: z.boolean(),
  found: count,
  done: count,
  before: count,
  clear: count,
  /** Records left as they are, by error code. */
  skipped: z.record(z.string(), count),
  /** Some of them by name, to look at: logical ids only. */
  examples: z.array(z.strictObject({ reference: z.string(), code: z.string() })),
});
export type TypeRecord = z.infer<typeof typeRecord>;

/** What a run is about; a journal of another one says nothing of it. */
const subject = z.strictObject({ upstream: z.string(), catalogue: z.string() });
export type Subject = z.infer<typeof subject>;

const journalShape = z.strictObject({ subject, types: z.record(z.string(), typeRecord) });

export const EMPTY: TypeRecord = {
  page: '',
  pass: 1,
  earlier: 0,
  finished: false,
  found: 0,
  done: 0,
  before: 0,
  clear: 0,
  skipped: {},
  examples: [],
};

export interface Journal {
  get(type: string): TypeRecord;
  /** Returns when it is on disk. */
  put(type: string, record: TypeRecord): void;
  /** The run is complete. */
  remove(): void;
}

export interface JournalChoice {
  readonly mode: string;
  readonly dryRun: boolean;
  readonly subject: Subject;
  readonly startOver: boolean;
}

/** What one mode has done, another may undo: only the journal of the last mode is kept. */
export function openJournal(paths: DataPaths, { mode, dryRun, subject: about, startOver }: JournalChoice): Journal {
  const name = `${FILE_PREFIX}${mode}${dryRun ? '-dry' : ''}.json`;
  const file = join(paths.run, name);
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  const others = readdirSync(paths.run).filter((other) => other.startsWith(FILE_PREFIX) && other !== name);
  for (const other of dryRun ? [] : others) rmSync(join(paths.run, other), { force: true });
  if (startOver) rmSync(file, { force: true });
  const records = new Map(Object.entries(read(file, about)));
  return {
    get: (type) => records.get(type) ?? EMPTY,
    put(type, record) {
      records.set(type, record);
      replace(file, JSON.stringify({ subject: about, types: Object.fromEntries(records) }));
    },
    remove: () => rmSync(file, { force: true }),
  };
}

const FILE_PREFIX = 'backfill-';

/** A journal that cannot be read, or is about something else, is none: what was done already is found done. */
function read(file: string, about: Subject): Record<string, TypeRecord> {
  try {
    const journal = journalShape.parse(JSON.parse(readFileSync(file, 'utf8')));
    const isSame = journal.subject.upstream === about.upstream && journal.subject.catalogue === about.catalogue;
    return isSame ? journal.types : {};
  } catch {
    return {};
  }
}

function replace(file: string, text: string): void {
  const draft = `${file}.new`;
  const handle = openSync(draft, 'w', 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, file);
}
