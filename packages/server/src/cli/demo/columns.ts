/** A resource as rows of leaf paths, and several resources side by side. */
import type { Json } from '@keyward/sdk/seal';
import { isObject } from '../json.ts';

/** A leaf's path, e.g. `name[0].family` → its text. */
export type Leaves = ReadonlyMap<string, string>;

/** Field tokens of the seal (docs/reference/seal-format.md). */
const TOKEN = /kw1\.[\w-]+/;

/** Leaves that a reader of FHIR looks at; extensions on primitives (`_birthDate`) belong to their element. */
export function leavesOf(resource: Json): Leaves {
  const leaves = new Map<string, string>();
  walk(resource, '', (path, leaf) => {
    if (!path.split('.').some((step) => step.startsWith('_'))) leaves.set(path, leaf);
  });
  return leaves;
}

/** Elements that hold a ciphertext → that token, whether it stands in the value or in the element's extension. */
export function tokensOf(resource: Json | undefined): Leaves {
  const tokens = new Map<string, string>();
  walk(resource, '', (path, leaf) => {
    const [token] = TOKEN.exec(leaf) ?? [];
    if (token === undefined) return;
    const element = path.replace(/(_[^.[]+(?:\[\d+\])?)\.extension.*$/, '$1').replace(/(^|\.)_/, '$1');
    tokens.set(element, token);
  });
  return tokens;
}

function walk(node: Json | undefined, path: string, visit: (path: string, leaf: string) => void): void {
  if (Array.isArray(node)) return node.forEach((element, index) => walk(element, `${path}[${index}]`, visit));
  if (!isObject(node)) return node === undefined || node === null ? undefined : visit(path, leafText(node));
  for (const [name, member] of Object.entries(node)) walk(member, path === '' ? name : `${path}.${name}`, visit);
}

/** Texts as they are; numbers with the digits they were written with. */
const leafText = (leaf: Json): string => (typeof leaf === 'string' ? leaf : JSON.stringify(leaf));

export interface Column {
  readonly title: string;
  readonly widthCharacters: number;
}

/** Rows cut to the widths of their columns; `…` marks what was cut. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const render = (cells: readonly string[]) =>
    columns
      .map(({ widthCharacters }, index) => cut(cells[index] ?? '', widthCharacters).padEnd(widthCharacters))
      .join('  ');
  const rule = columns.map(({ widthCharacters }) => '─'.repeat(widthCharacters));
  const lines = [columns.map(({ title }) => title), rule, ...rows].map((cells) => render(cells).trimEnd());
  return `${lines.join('\n')}\n`;
}

export function cut(text: string, widthCharacters: number): string {
  const line = text.replaceAll(/[\p{Cc}\s]+/gu, ' ');
  return line.length > widthCharacters ? `${line.slice(0, widthCharacters - 1)}…` : line;
}
