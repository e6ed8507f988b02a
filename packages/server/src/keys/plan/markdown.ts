/** A document as Markdown (GitHub's, for the tables). What stands in it is text: names of people never become markup. */
import type { Block, PlanDocument, Table } from './document.ts';

/** Backslash escapes of CommonMark (section 2.4), and the bar that ends a cell. */
const escaped = (content: string): string => content.replace(/[\\`*_[\]<>|#&~]/g, '\\$&').replaceAll(/\s+/g, ' ');

const row = (cells: readonly string[]): string => `| ${cells.map(escaped).join(' | ')} |`;

const tableOf = ({ head, rows }: Table): string =>
  [row(head), `| ${head.map(() => '---').join(' | ')} |`, ...rows.map(row)].join('\n');

function blockOf(block: Block): string {
  if ('text' in block) return escaped(block.text);
  if ('list' in block) return block.list.map((item) => `- ${escaped(item)}`).join('\n');
  return tableOf(block.table);
}

export function toMarkdown({ title, sections }: PlanDocument): string {
  const parts = sections.flatMap((section) => [`## ${escaped(section.title)}`, ...section.blocks.map(blockOf)]);
  return `${[`# ${escaped(title)}`, ...parts].join('\n\n')}\n`;
}
