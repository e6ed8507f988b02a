/** How a load shows: a bar that grows on a terminal, one line per file anywhere else, and a summary. */
import { oneLine } from '../failure.ts';
import { paint, REPAINT, type Output } from '../terminal.ts';
import type { LoadFailure, LoadSummary, Outcome, Progress } from './load.ts';

const BAR_CHARACTERS = 30;

export function createProgress(output: Output, totalFiles: number): Progress {
  return output.isTty ? barProgress(output, totalFiles) : lineProgress(output, totalFiles);
}

function barProgress(output: Output, totalFiles: number): Progress {
  let files = 0;
  let resources = 0;
  return {
    done(file, outcome) {
      files += 1;
      if (outcome.kind === 'loaded') resources += outcome.resources;
      if (outcome.kind === 'failed') output.write(`${REPAINT}${describe(file, outcome)}\n`);
      output.write(`${REPAINT}${renderBar(files, totalFiles)}  ${resources} resources`);
    },
    end: () => output.write(REPAINT),
  };
}

function lineProgress(output: Output, totalFiles: number): Progress {
  let files = 0;
  return {
    done(file, outcome) {
      files += 1;
      output.write(`[${files}/${totalFiles}] ${describe(file, outcome)}\n`);
    },
    end: () => undefined,
  };
}

export function renderBar(done: number, total: number): string {
  const filled = Math.round((BAR_CHARACTERS * done) / Math.max(total, 1));
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_CHARACTERS - filled)}  ${done}/${total} files`;
}

function describe(file: string, outcome: Outcome): string {
  const name = oneLine(file);
  if (outcome.kind === 'loaded') return `${name}: ${outcome.resources} resources`;
  if (outcome.kind === 'skipped') return `${name}: loaded before`;
  return `${name}: ${outcome.failure.code}`;
}

export function renderSummary(summary: LoadSummary, output: Output): string {
  const skipped = summary.skipped > 0 ? `; ${summary.skipped} loaded before (--again posts them once more)` : '';
  const sum = `${summary.files} files, ${summary.resources} resources in ${summary.seconds.toFixed(1)} s${skipped}`;
  return [...summary.failures.map((failure) => renderFailure(failure, output)), `${sum}\n`].join('');
}

function renderFailure({ file, code, hint }: LoadFailure, output: Output): string {
  return `${paint(output, 'red', 'failed')} ${oneLine(file)}: ${code}\n       ${oneLine(hint)}\n`;
}
