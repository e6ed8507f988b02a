/** The search parameter table: for every type and code its type and its expression, reduced to that type. */
import type { SearchParameter } from '@medplum/fhirtypes';

/** `[type, expression, …codes of the components of a composite]`; the expression is empty where R4 gives none. */
export type SearchRow = readonly [type: string, expression: string, ...components: string[]];

/** Type name → code → row. What holds for every type is under `Resource` and `DomainResource`. */
export function searchTable(parameters: readonly SearchParameter[]): Record<string, Record<string, SearchRow>> {
  const codes = new Map(parameters.map((parameter) => [parameter.url ?? '', parameter.code ?? '']));
  const table: Record<string, Record<string, SearchRow>> = {};
  for (const parameter of parameters) {
    for (const base of parameter.base ?? []) (table[base] ??= {})[parameter.code ?? ''] = row(parameter, base, codes);
  }
  return sortedByName(table, (rows) => sortedByName(rows, (entry) => entry));
}

function row(parameter: SearchParameter, base: string, codes: ReadonlyMap<string, string>): SearchRow {
  const components = (parameter.component ?? []).map((component) => codes.get(component.definition ?? '') ?? '');
  return [parameter.type ?? '', expressionFor(base, parameter.expression ?? ''), ...components];
}

/** The alternatives of a union that begin at this type, with casts in function form: `(A.b as C)` → `A.b.ofType(C)`. */
function expressionFor(base: string, expression: string): string {
  const alternatives = expression.split(' | ').map(plain);
  return alternatives
    .map((path) => (/^[a-z]/.test(path) ? `${base}.${path}` : path))
    .filter((path) => startsAt(base, path))
    .join(' | ');
}

const startsAt = (base: string, path: string): boolean => path === base || path.startsWith(`${base}.`);

const plain = (path: string): string =>
  path
    .replace(/^\((\S+) as (\w+)\)/, '$1.ofType($2)')
    .replace(/\.as\((\w+)\)/, '.ofType($1)')
    .replace(/\.ofType\(DateTime\)/, '.ofType(dateTime)')
    .trim();

function sortedByName<In, Out>(record: Record<string, In>, map: (value: In) => Out): Record<string, Out> {
  const entries = Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, value]) => [name, map(value)]));
}
