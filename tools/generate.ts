/** Writes the tables in packages/server/src/phi/generated from the official R4 definitions: `npm run generate`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compartmentTable } from './generate/compartment.ts';
import { readDefinitions } from './generate/definitions.ts';
import { searchTable } from './generate/search.ts';
import { structureTable } from './generate/structures.ts';
import { summaryTable } from './generate/summary.ts';
import { presenceTable, ruleTable, valueSetTable } from './generate/validation.ts';

export const GENERATED_FOLDER = new URL('../packages/server/src/phi/generated/', import.meta.url);

/** File name → content. */
export function generate(): Record<string, string> {
  const { structures, searchParameters, patientCompartment, ...terminology } = readDefinitions();
  return {
    'structures.json': lines(structureTable(structures)),
    'search-parameters.json': lines(searchTable(searchParameters, structures), 1),
    'summary.json': lines(summaryTable(structures)),
    'patient-compartment.json': lines(compartmentTable(patientCompartment)),
    'rules.json': lines(ruleTable(structures)),
    'value-sets.json': lines(valueSetTable(structures, terminology), 1),
    'presence.json': lines(presenceTable(structures), 1),
  };
}

/** JSON with one line per entry, so that a change shows as a line. */
function lines(table: object, depth = 0, indent = ''): string {
  const entries = Object.entries(table).map(([name, value]) => {
    const text = depth > 0 ? lines(value as object, depth - 1, `${indent}  `).trimEnd() : JSON.stringify(value);
    return `${indent}  ${JSON.stringify(name)}: ${text}`;
  });
  return `{\n${entries.join(',\n')}\n${indent}}\n`;
}

if (import.meta.main) {
  for (const [name, content] of Object.entries(generate())) {
    writeFileSync(new URL(name, GENERATED_FOLDER), content);
    console.log(`wrote ${fileURLToPath(new URL(name, GENERATED_FOLDER))}`);
  }
}
