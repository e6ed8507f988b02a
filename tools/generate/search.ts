/** The search parameter table: for every type and code its type, its expression, reduced to that type, and what it leads to. */
import type { SearchParameter, StructureDefinition } from '@medplum/fhirtypes';

/**
 * `[type, expression, …more]`; the expression is empty where R4 gives none. `more` are the codes that a composite joins, or the types that a
 * reference may name (`*`: any).
 */
export type SearchRow = readonly [type: string, expression: string, ...more: string[]];

/** Path of an element → types its references may name. */
type ReferenceTargets = ReadonlyMap<string, readonly string[]>;

/** Type name → code → row. What holds for every type is under `Resource` and `DomainResource`. */
export function searchTable(
  parameters: readonly SearchParameter[],
  structures: readonly StructureDefinition[],
): Record<string, Record<string, SearchRow>> {
  const codes = new Map(parameters.map((parameter) => [parameter.url ?? '', parameter.code ?? '']));
  const targets = referenceTargets(structures);
  const table: Record<string, Record<string, SearchRow>> = {};
  for (const parameter of parameters) {
    for (const base of parameter.base ?? [])
      (table[base] ??= {})[parameter.code ?? ''] = row(parameter, base, codes, targets);
  }
  return sortedByName(table, (rows) => sortedByName(rows, (entry) => entry));
}

function row(
  parameter: SearchParameter,
  base: string,
  codes: ReadonlyMap<string, string>,
  targets: ReferenceTargets,
): SearchRow {
  const expression = expressionFor(base, parameter.expression ?? '');
  const components = (parameter.component ?? []).map((component) => codes.get(component.definition ?? '') ?? '');
  const more = parameter.type === 'reference' ? targetsOf(parameter, expression, targets) : components;
  return [parameter.type ?? '', expression, ...more];
}

const ANY = '*';
const PROFILE_PREFIX = 'http://hl7.org/fhir/StructureDefinition/';

function referenceTargets(structures: readonly StructureDefinition[]): ReferenceTargets {
  const targets = new Map<string, readonly string[]>();
  for (const { path, type } of structures.flatMap(({ snapshot }) => snapshot?.element ?? [])) {
    const profiles = (type ?? []).flatMap(({ targetProfile }) => targetProfile ?? []);
    const names = profiles.map((profile) => profile.slice(PROFILE_PREFIX.length));
    if (path && names.length > 0) targets.set(path.replace('[x]', ''), names.includes('Resource') ? [ANY] : names);
  }
  return targets;
}

/** The parameter names the types that any of its bases has; the element, or a condition on it, names fewer. */
function targetsOf({ target = [] }: SearchParameter, expression: string, targets: ReferenceTargets): string[] {
  const named = expression.split(' | ').flatMap((path) => {
    const narrowed = /\.where\(resolve\(\) is (\w+)\)$/.exec(path)?.[1];
    return narrowed ? [narrowed] : (targets.get(path.replace(/\.(?:where|ofType)\([^()]*\)/g, '')) ?? target);
  });
  const types = named.includes(ANY) ? target : named;
  return types.length > MANY ? [ANY] : [...new Set(types)].sort();
}

/** R4 writes "any" as the list of all its types. */
const MANY = 100;

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
