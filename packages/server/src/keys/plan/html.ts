/** A document as one HTML page that needs nothing else: no script, no image, nothing to fetch. */
import type { Block, PlanDocument, Table } from './document.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (content: string): string => content.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #767676 }
.table { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #767676; padding: .3rem .6rem; text-align: left; vertical-align: top }
th { background: #f0f0f0 }
@media print { body { margin: 0; max-width: none; font-size: 10pt } tr { break-inside: avoid } }
`;

const cells = (tag: string, row: readonly string[]): string =>
  `<tr>${row.map((cell) => `<${tag}>${escaped(cell)}</${tag.split(' ')[0]}>`).join('')}</tr>`;

const tableOf = ({ head, rows }: Table): string => `<div class="table"><table>
<thead>${cells('th scope="col"', head)}</thead>
<tbody>
${rows.map((row) => cells('td', row)).join('\n')}
</tbody>
</table></div>`;

function blockOf(block: Block): string {
  if ('text' in block) return `<p>${escaped(block.text)}</p>`;
  if ('list' in block) return `<ul>\n${block.list.map((item) => `<li>${escaped(item)}</li>`).join('\n')}\n</ul>`;
  return tableOf(block.table);
}

export function toHtml({ title, sections }: PlanDocument): string {
  const parts = sections.map(
    (section) => `<section>\n<h2>${escaped(section.title)}</h2>\n${section.blocks.map(blockOf).join('\n')}\n</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
${parts.join('\n')}
</main>
</body>
</html>
`;
}
