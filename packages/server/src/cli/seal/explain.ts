/** What sealing does to the elements of resources, as rows for people and for programs; without any value. */
import { type Catalogue, type FhirResource, type FieldClass, inspectElements, planSeal } from '../../phi/index.ts';
import { renderTable } from '../demo/columns.ts';

export interface ExplainedElement {
  /** Path from the resource's type on. */
  readonly element: string;
  readonly datatype: string;
  /** How many values stand there. */
  readonly values: number;
  readonly treatment: string;
  readonly class: FieldClass | null;
  readonly index: string | null;
  /** Roles of the access policy that some rule lets open it. */
  readonly openedBy: readonly string[];
  /** Line of the overrides file that says so. */
  readonly override: string | null;
}

/** Roles that may open a class of a type. */
export type OpenedBy = (type: string, fieldClass: FieldClass) => readonly string[];

/** @throws KeywardError as sealing would: what is refused has no treatment */
export function explainResource(resource: FhirResource, catalogue: Catalogue, openedBy: OpenedBy): ExplainedElement[] {
  planSeal(resource, catalogue);
  return inspectElements(resource, catalogue).map(({ path, datatype, rule }) => ({
    element: path,
    datatype,
    values: 1,
    treatment: rule?.treatment ?? 'clear',
    class: rule?.fieldClass ?? null,
    index: rule?.indexClass ?? null,
    openedBy: rule ? openedBy(resource.resourceType, rule.fieldClass) : [],
    override: rule?.override ?? null,
  }));
}

/** One row for all values of one element that are treated alike. */
export function combined(elements: readonly ExplainedElement[]): ExplainedElement[] {
  const rows = new Map<string, ExplainedElement>();
  for (const found of elements) {
    const key = [found.element, found.datatype, found.treatment, found.class, found.index].join(' ');
    const row = rows.get(key);
    rows.set(key, row ? { ...row, values: row.values + found.values } : found);
  }
  return [...rows.values()];
}

const TITLES = ['element', 'datatype', 'values', 'treatment', 'class', 'opened by'] as const;

export function renderExplanation(rows: readonly ExplainedElement[]): string {
  const cells = rows.map(({ element, datatype, values, treatment, class: fieldClass, index, openedBy, override }) => [
    element,
    datatype,
    String(values),
    (index === null ? treatment : `${treatment}:${index}`) + (override === null ? '' : ' *'),
    fieldClass ?? '',
    fieldClass === null ? 'whoever may read' : openedBy.join(', ') || 'nobody',
  ]);
  const widthOf = (column: number) => Math.max(...[TITLES, ...cells].map((line) => (line[column] ?? '').length));
  const table = renderTable(
    TITLES.map((title, column) => ({ title, widthCharacters: widthOf(column) })),
    cells,
  );
  return rows.some(({ override }) => override !== null) ? `${table}* by an override\n` : table;
}
