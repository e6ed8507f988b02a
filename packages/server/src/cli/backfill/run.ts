/** The backfill: type after type, page after page, until the end or an interruption. */
import type { Json } from '@keyward/sdk/seal';
import { asKeywardError, type ErrorCode, ERRORS, KeywardError } from '../../core/index.ts';
import type { HttpAnswer } from '../http.ts';
import { at, listAt, textAt } from '../json.ts';
import { isSuccess, readRefusal } from '../refusal.ts';
import { EMPTY, type Journal, type TypeRecord } from './journal.ts';

export type Mode = 'seal' | 'reseal' | 'rekey' | 'unseal';

export interface BackfillInputs {
  readonly mode: Mode;
  readonly dryRun: boolean;
  /** In the order in which they are worked on. */
  readonly types: readonly string[];
  readonly pageSize: number;
  /** Records in a second, at most; undefined: as fast as it goes. */
  readonly ratePerSecond: number | undefined;
  readonly journal: Journal;
  /** Posts an order to the gateway. */
  readonly post: (order: Json) => Promise<HttpAnswer>;
  readonly progress: BackfillProgress;
  readonly isInterrupted: () => boolean;
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly nowMs: () => number;
}

export interface BackfillProgress {
  page(type: string, record: TypeRecord): void;
  typeDone(type: string, record: TypeRecord): void;
  waiting(code: string): void;
  end(): void;
}

export interface BackfillSummary {
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly complete: boolean;
  readonly types: Readonly<Record<string, TypeSummary>>;
}

export type TypeSummary = Omit<TypeRecord, 'page' | 'pass' | 'earlier'>;

/** Codes of records that somebody else was writing, or whose outcome is not known: another pass decides. */
const WORTH_ANOTHER_PASS: ReadonlySet<string> = new Set<ErrorCode>([
  'FHIR_PRECONDITION',
  'FHIR_CONFLICT',
  'GATEWAY_OUTCOME_UNKNOWN',
  'GATEWAY_UPSTREAM_UNAVAILABLE',
]);
const MAX_PASSES = 3;
const MAX_EXAMPLES = 20;

export async function runBackfill(inputs: BackfillInputs): Promise<BackfillSummary> {
  const { types, journal, progress, isInterrupted, mode, dryRun } = inputs;
  for (const type of types) {
    if (isInterrupted()) break;
    await workOnType(inputs, type);
    if (journal.get(type).finished) progress.typeDone(type, journal.get(type));
  }
  progress.end();
  const complete = types.every((type) => journal.get(type).finished);
  const summary = Object.fromEntries(
    types.map((type) => {
      const { page: _page, pass: _pass, earlier: _earlier, ...record } = journal.get(type);
      return [type, record];
    }),
  );
  if (complete) journal.remove();
  return { mode, dryRun, complete, types: summary };
}

async function workOnType(inputs: BackfillInputs, type: string): Promise<void> {
  const { journal, progress, isInterrupted } = inputs;
  while (!journal.get(type).finished && !isInterrupted()) {
    const startedAtMs = inputs.nowMs();
    const record = journal.get(type);
    const answer = await answeredPage(inputs, type, record.page);
    // The gateway forgets where a page is after an hour: the type begins anew, and finds done what is done.
    if (answer === undefined) {
      journal.put(type, { ...EMPTY, pass: record.pass, earlier: record.earlier + record.done });
      continue;
    }
    const grown = withPage(record, answer);
    progress.page(type, grown);
    journal.put(type, grown.page === '' ? atTheEnd(grown, inputs.dryRun) : grown);
    await keepRate(inputs, grown.found - record.found, inputs.nowMs() - startedAtMs);
  }
}

/** Of a walk: the type is finished, or walked over once more for those who were being written. */
function atTheEnd(record: TypeRecord, dryRun: boolean): TypeRecord {
  const { pass, earlier, done, before, skipped } = record;
  const unsettled = Object.keys(skipped).some((code) => WORTH_ANOTHER_PASS.has(code));
  if (unsettled && !dryRun && pass < MAX_PASSES) return { ...EMPTY, pass: pass + 1, earlier: earlier + done };
  return { ...record, done: earlier + done, before: Math.max(before - earlier, 0), earlier: 0, finished: true };
}

function withPage(record: TypeRecord, answer: Json): TypeRecord {
  const parameters = listAt(answer, 'parameter');
  const named = (name: string) => parameters.filter((parameter) => textAt(parameter, 'name') === name);
  const counted = (name: string) => Number(at(named(name)[0], 'valueInteger') ?? 0);
  const skipped = named('skipped').map((parameter) => ({
    reference: textAt(parameter, 'part', 0, 'valueReference', 'reference') ?? '',
    code: textAt(parameter, 'part', 1, 'valueCode') ?? '',
  }));
  const counts = { ...record.skipped };
  for (const { code } of skipped) counts[code] = (counts[code] ?? 0) + 1;
  return {
    ...record,
    page: textAt(named('page')[0], 'valueString') ?? '',
    found: record.found + counted('found'),
    done: record.done + counted('done'),
    before: record.before + counted('before'),
    clear: record.clear + counted('clear'),
    skipped: counts,
    examples: [...record.examples, ...skipped].slice(0, MAX_EXAMPLES),
  };
}

/** Longest wait for something that does not answer; then the run ends and can be resumed. */
const PATIENCE_MS = 120_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;

/** Undefined when the page is lost. @throws KeywardError of what the gateway refused, or of what did not answer for too long. */
async function answeredPage(inputs: BackfillInputs, type: string, page: string): Promise<Json | undefined> {
  const giveUpAtMs = inputs.nowMs() + PATIENCE_MS;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    const code = await ask(inputs, type, page);
    if (typeof code !== 'string') return code.body;
    if (code === 'FHIR_CURSOR_INVALID') return undefined;
    if (!isTransient(code) || inputs.isInterrupted() || inputs.nowMs() > giveUpAtMs) throw failureOf(code);
    inputs.progress.waiting(code);
    await inputs.sleep(waitMs);
  }
}

async function ask({ mode, dryRun, pageSize, post }: BackfillInputs, type: string, page: string) {
  const parameter = [
    { name: 'mode', valueCode: mode },
    { name: 'type', valueCode: type },
    { name: 'count', valueInteger: pageSize },
    { name: 'dryRun', valueBoolean: dryRun },
    ...(page === '' ? [] : [{ name: 'page', valueString: page }]),
  ];
  try {
    const { status, body } = await post({ resourceType: 'Parameters', parameter });
    return isSuccess(status) && body !== undefined ? { body } : readRefusal(status, body).code;
  } catch (thrown) {
    return asKeywardError(thrown).code;
  }
}

const rowOf = (code: string) => (Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode] : undefined);

const isTransient = (code: string): boolean => rowOf(code)?.retry ?? code.startsWith('HTTP 5');

const failureOf = (code: string): KeywardError =>
  rowOf(code) ? new KeywardError(code as ErrorCode) : new KeywardError('CLI_REQUEST_FAILED', { detail: code });

/** Longest pause without a look at whether the run was interrupted. */
const LOOK_MS = 250;

async function keepRate(
  { ratePerSecond, sleep, isInterrupted }: BackfillInputs,
  records: number,
  tookMs: number,
): Promise<void> {
  if (ratePerSecond === undefined) return;
  let dueMs = (records / ratePerSecond) * 1000 - tookMs;
  for (; dueMs > 0 && !isInterrupted(); dueMs -= LOOK_MS) await sleep(Math.min(dueMs, LOOK_MS));
}
