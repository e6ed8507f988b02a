/** How a backfill shows: a line that grows on a terminal, a line per page anywhere else, and a table at the end. */
import { type Output, paint, REPAINT } from '../terminal.ts';
import type { TypeRecord } from './journal.ts';
import type { BackfillProgress, BackfillSummary, Mode, TypeSummary } from './run.ts';

const VERBS: Readonly<Record<Mode, string>> = {
  seal: 'sealed',
  reseal: 'sealed anew',
  rekey: 'sealed anew',
  unseal: 'unsealed',
};
const doneAs = ({ mode, dryRun }: Pick<BackfillSummary, 'mode' | 'dryRun'>): string =>
  dryRun ? `to be ${VERBS[mode]}` : VERBS[mode];

const skippedIn = ({ skipped }: Pick<TypeRecord, 'skipped'>): number =>
  Object.values(skipped).reduce((sum, count) => sum + count, 0);

export function createProgress(
  output: Output,
  run: Pick<BackfillSummary, 'mode' | 'dryRun'>,
  totalTypes: number,
): BackfillProgress {
  let types = 0;
  const line = (type: string, record: TypeRecord) =>
    `[${types + 1}/${totalTypes}] ${type}: ${record.found} read, ${record.done} ${doneAs(run)}, ${record.before + record.clear} as they should be, ${skippedIn(record)} skipped`;
  const show = (text: string) => output.write(output.isTty ? `${REPAINT}${text}` : `${text}\n`);
  return {
    page: (type, record) => show(line(type, record)),
    typeDone(type, record) {
      types += 1;
      if (output.isTty && record.found > 0) output.write(`${REPAINT}${type}: ${record.found}\n`);
    },
    waiting: (code) => show(`waiting: ${code}`),
    end: () => void (output.isTty && output.write(REPAINT)),
  };
}

const COLUMNS = ['found', 'done', 'before', 'clear', 'skipped'] as const;

export function renderReport(summary: BackfillSummary, output: Output): string {
  const { types, complete } = summary;
  const rows = Object.entries(types).filter(([, { found }]) => found > 0);
  const heads: Readonly<Record<(typeof COLUMNS)[number], string>> = {
    found: 'found',
    done: doneAs(summary),
    before: 'already so',
    clear: 'nothing to seal',
    skipped: 'skipped',
  };
  const cells = rows.map(([type, record]) => [type, ...COLUMNS.map((name) => numberIn(record, name))]);
  const sums = COLUMNS.map((name) => rows.reduce((sum, [, record]) => sum + numberIn(record, name), 0));
  const table = [['', ...COLUMNS.map((name) => heads[name])], ...cells, ['all', ...sums]].map((row) => row.map(String));
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return `${[...lines, ...skippedLines(rows, output), ...endLines(complete, output)].join('\n')}\n`;
}

const numberIn = (record: TypeSummary, name: (typeof COLUMNS)[number]): number =>
  name === 'skipped' ? skippedIn(record) : record[name];

function skippedLines(rows: readonly [string, TypeSummary][], output: Output): string[] {
  return rows.flatMap(([type, { skipped, examples }]) =>
    Object.entries(skipped).map(([code, count]) => {
      const some = examples.filter((example) => example.code === code).map(({ reference }) => reference);
      return `${paint(output, 'red', 'skipped')} ${count} × ${type}: ${code} (${some.slice(0, 3).join(', ')}${count > 3 ? ' …' : ''})`;
    }),
  );
}

const endLines = (complete: boolean, output: Output): string[] =>
  complete ? [] : [paint(output, 'yellow', 'not complete: run the same command again to go on')];
