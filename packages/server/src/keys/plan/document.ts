/** A document as data: sections of paragraphs, lists and tables. What it looks like, the renderers decide. */

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export type Block = { readonly text: string } | { readonly list: readonly string[] } | { readonly table: Table };

export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

export interface PlanDocument {
  readonly title: string;
  readonly sections: readonly Section[];
}

export const text = (content: string): Block => ({ text: content });
export const list = (items: readonly string[]): Block => ({ list: items });
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): Block => ({
  table: { head, rows },
});
