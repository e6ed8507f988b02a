/** The summary table: of every type the elements that a summary shows, and of resources those that no selection may leave out. */
import type { ElementDefinition, StructureDefinition } from '@medplum/fhirtypes';

/** Type name → `[summary elements, mandatory elements]`, each separated by blanks; choices by their stem. */
export function summaryTable(definitions: readonly StructureDefinition[]): Record<string, readonly [string, string]> {
  const table: Record<string, { summary: string[]; mandatory: string[] }> = {};
  for (const { kind, snapshot } of definitions) {
    for (const element of snapshot?.element ?? []) {
      const path = element.path ?? '';
      const dot = path.lastIndexOf('.');
      if (dot < 0 || element.max === '0') continue;
      const row = (table[path.slice(0, dot)] ??= { summary: [], mandatory: [] });
      const name = path.slice(dot + 1).replace('[x]', '');
      if (element.isSummary) row.summary.push(name);
      if (kind === 'resource' && !path.slice(0, dot).includes('.') && isMandatory(element, name))
        row.mandatory.push(name);
    }
  }
  const names = Object.keys(table).sort();
  return Object.fromEntries(
    names.map((name) => [name, [table[name]?.summary.join(' ') ?? '', table[name]?.mandatory.join(' ') ?? '']]),
  );
}

/** What may change the meaning of anything is not left out either; other modifiers are for the client to name (FHIR R4 §3.1.1.5.9). */
const ALWAYS: ReadonlySet<string> = new Set(['implicitRules', 'modifierExtension']);

const isMandatory = ({ min = 0 }: ElementDefinition, name: string): boolean => min > 0 || ALWAYS.has(name);
