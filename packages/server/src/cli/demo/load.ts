/** The load: file after file, each one request, until the end or an interruption. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Json } from '@keyward/sdk/seal';
import { asKeywardError, type Clock, parseJson } from '../../core/index.ts';
import type { HttpAnswer } from '../http.ts';
import { at, listAt, textAt } from '../json.ts';
import { isSuccess, readRefusal } from '../refusal.ts';
import type { Journal } from './journal.ts';
import { type Assigned, readAssigned, rewriteReferences } from './references.ts';
import { type Submission, toSubmission } from './submission.ts';

export interface LoadFailure {
  readonly file: string;
  readonly code: string;
  readonly hint: string;
}

export interface LoadSummary {
  /** Files acknowledged by this run. */
  readonly files: number;
  readonly resources: number;
  /** Files that an earlier run loaded. */
  readonly skipped: number;
  readonly failures: readonly LoadFailure[];
  readonly seconds: number;
  readonly interrupted: boolean;
}

export interface Progress {
  done(file: string, outcome: Outcome): void;
  end(): void;
}

export type Outcome =
  | { readonly kind: 'loaded'; readonly resources: number }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'failed'; readonly failure: LoadFailure };

export interface LoadInputs {
  readonly files: readonly string[];
  readonly journal: Journal;
  readonly post: (path: string, body: Json) => Promise<HttpAnswer>;
  readonly progress: Progress;
  /** Asked between files: a request under way is answered first, or a second run would post it again. */
  readonly isInterrupted: () => boolean;
  readonly clock: Clock;
}

export async function loadFiles(inputs: LoadInputs): Promise<LoadSummary> {
  const startedAtMs = inputs.clock.now().getTime();
  const outcomes: Outcome[] = [];
  for (const file of inputs.files) {
    if (inputs.isInterrupted()) break;
    const outcome = await loadFile(inputs, file);
    outcomes.push(outcome);
    inputs.progress.done(basename(file), outcome);
  }
  inputs.progress.end();
  return summarise(outcomes, {
    seconds: (inputs.clock.now().getTime() - startedAtMs) / 1000,
    interrupted: outcomes.length < inputs.files.length,
  });
}

async function loadFile({ journal, post }: LoadInputs, file: string): Promise<Outcome> {
  const bytes = readFileSync(file);
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (journal.has(hash)) return { kind: 'skipped' };
  try {
    const submission = toSubmission(parseJson(bytes));
    const answer = await post(submission.path, rewriteReferences(submission.body, foreign(journal, submission)));
    const failure = failureIn(file, answer);
    if (failure) return { kind: 'failed', failure };
    const resources = submission.names.length;
    journal.acknowledge({ hash, resources, assigned: Object.fromEntries(readAssigned(submission.names, answer)) });
    return { kind: 'loaded', resources };
  } catch (thrown) {
    return { kind: 'failed', failure: inputFailure(file, thrown) };
  }
}

/** A name that the file itself defines means the file's own resource, whatever other files call so. */
function foreign({ assigned }: Journal, { names }: Submission): Assigned {
  const own = new Set(names);
  return { get: (name) => (own.has(name) ? undefined : assigned.get(name)) };
}

/** A batch answers 200 even when entries of it were refused. */
function failureIn(file: string, { status, body }: HttpAnswer): LoadFailure | undefined {
  const entries = listAt(body, 'entry').map((entry) => ({
    status: Number.parseInt(textAt(entry, 'response', 'status') ?? '200', 10),
    body: at(entry, 'response', 'outcome'),
  }));
  const refused = [{ status, body }, ...entries].find((one) => !isSuccess(one.status));
  if (!refused) return undefined;
  const { code, hint } = readRefusal(refused.status, refused.body);
  return { file: basename(file), code, hint };
}

/** What concerns one file is a line of the summary; an instance that is gone ends the load. */
function inputFailure(file: string, thrown: unknown): LoadFailure {
  const error = asKeywardError(thrown);
  const ofTheFile = error.code === 'CLI_INPUT' || error.code.startsWith('JSON_');
  if (!ofTheFile) throw error;
  return { file: basename(file), code: error.code, hint: error.detail ?? error.row.hint };
}

function summarise(outcomes: readonly Outcome[], rest: Pick<LoadSummary, 'seconds' | 'interrupted'>): LoadSummary {
  const loaded = outcomes.filter((outcome) => outcome.kind === 'loaded');
  return {
    files: loaded.length,
    resources: loaded.reduce((sum, { resources }) => sum + resources, 0),
    skipped: outcomes.filter(({ kind }) => kind === 'skipped').length,
    failures: outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.failure] : [])),
    ...rest,
  };
}
