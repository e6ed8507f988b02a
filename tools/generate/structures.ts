/** The structure table: every element of every R4 type with its datatypes. */
import type { ElementDefinition, StructureDefinition } from '@medplum/fhirtypes';

/** How FHIR writes the types of `id` members and of `Extension.url`. */
const SYSTEM_TYPE_PREFIX = 'http://hl7.org/fhirpath/';

/** Type name → `element:type`, `element*:type` for lists, `element[x]:type|type` for choices; separated by blanks. */
export function structureTable(definitions: readonly StructureDefinition[]): Record<string, string> {
  const table: Record<string, string[]> = {};
  for (const definition of definitions) addDefinition(table, definition);
  const names = Object.keys(table).sort();
  return Object.fromEntries(names.map((name) => [name, (table[name] ?? []).join(' ')]));
}

function addDefinition(table: Record<string, string[]>, definition: StructureDefinition): void {
  for (const element of definition.snapshot?.element ?? []) {
    const path = element.path ?? '';
    const dot = path.lastIndexOf('.');
    if (dot < 0) table[path] = [];
    else if (element.max !== '0') (table[path.slice(0, dot)] ??= []).push(entry(element, path, dot, definition));
  }
}

function entry(element: ElementDefinition, path: string, dot: number, definition: StructureDefinition): string {
  const name = path.slice(dot + 1);
  // FHIR calls both `string`; ids of resources follow its `id` pattern, ids of elements are any text without blanks.
  const idType = definition.kind === 'resource' && path === `${definition.name}.id` ? 'id' : 'elementId';
  const types = name === 'id' ? [idType] : typesOf(element, path);
  return `${name}${element.max === '1' ? '' : '*'}:${types.join('|')}`;
}

function typesOf(element: ElementDefinition, path: string): string[] {
  if (element.contentReference) return [element.contentReference.slice(element.contentReference.indexOf('#') + 1)];
  return (element.type ?? []).map((type) => {
    const code = type.code ?? '';
    if (code === 'BackboneElement' || code === 'Element') return path;
    return code.startsWith(SYSTEM_TYPE_PREFIX) ? 'uri' : code;
  });
}
