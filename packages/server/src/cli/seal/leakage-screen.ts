/** The leakage report for people: a table of the elements, and for each index class its verdict and a small chart. */
import { renderTable } from '../demo/columns.ts';
import { paint, type Output } from '../terminal.ts';
import type { LeakageReport, Measures, Verdict } from './leakage.ts';

const BAR_CHARACTERS = 24;
const COLOURS = { accepted: 'green', refused: 'red', 'too few values': 'yellow' } as const satisfies Record<
  Verdict,
  string
>;

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const COLUMNS = [
  { title: 'index', widthCharacters: 12 },
  { title: 'element', widthCharacters: 40 },
  { title: 'values', widthCharacters: 9 },
  { title: 'distinct', widthCharacters: 9 },
  { title: 'largest', widthCharacters: 16 },
  { title: 'bits', widthCharacters: 6 },
  { title: 'of most', widthCharacters: 7 },
] as const;

export function renderLeakage({ classes, elements, resources, skipped }: LeakageReport, output: Output): string {
  if (classes.length === 0)
    return `There is no index and no year in ${resources} resources.\n${renderSkipped(skipped)}`;
  const rows = elements.map(({ kind, element, ...measures }) => [kind, element, ...cellsOf(measures)]);
  const verdicts = classes.map((one) => renderClass(one, output));
  return `${renderTable(COLUMNS, rows)}\n${verdicts.join('\n')}\n${resources} resources\n${renderSkipped(skipped)}`;
}

const cellsOf = ({ values, distinct, largest, largestShare, entropyBits, normalisedEntropy }: Measures): string[] => [
  String(values),
  String(distinct),
  `${largest} (${percent(largestShare)})`,
  entropyBits.toFixed(2),
  percent(normalisedEntropy),
];

function renderClass(
  { kind, verdict, why, values, occurring }: LeakageReport['classes'][number],
  output: Output,
): string {
  const reason = why.length > 0 ? `: ${why.join('; ')}` : '';
  const present = Object.entries(occurring).filter(([, count]) => count > 0);
  const lines = present.map(([name, count]) => {
    const filled = Math.round((BAR_CHARACTERS * count) / values);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_CHARACTERS - filled);
    return `  values that occur ${name.padEnd(12)}  ${bar}  ${percent(count / values)}\n`;
  });
  return `${paint(output, 'bold', kind)}  ${paint(output, COLOURS[verdict], verdict)}${reason}\n${lines.join('')}`;
}

const renderSkipped = (skipped: LeakageReport['skipped']): string =>
  Object.entries(skipped)
    .map(([code, count]) => `${count} not counted: ${code}\n`)
    .join('');
