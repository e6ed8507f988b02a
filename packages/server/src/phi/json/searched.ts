/** A parameter must be protected as the member it searches: else it finds nothing, stands in URLs, or tells those who may not open the member. */
import type { Views } from './agreement.ts';
import { mapFault } from './document.ts';
import { holdersOf, nodesIn } from './nodes.ts';
import type { JsonRule, QueryRule, SchemaNode } from './types.ts';

/** A parameter of a path or a query, as it is described. */
export interface Described {
  readonly at: string;
  readonly name: string;
  /** Member it searches, where `x-phi-member` says so. */
  readonly member: readonly string[] | undefined;
  readonly phi: QueryRule['phi'];
}

/**
 * By name of a parameter: the objects whose members it searches.
 * @param type object that the operation is about
 * @throws KeywardError `API_MAP_INVALID` naming the parameter
 */
export function searchedObjects(
  parameters: readonly Described[],
  type: string,
  views: Views,
): ReadonlyMap<string, ReadonlySet<string>> {
  const nodes = views.get(type) ?? [];
  const searchedBy = new Map<string, ReadonlySet<string>>();
  for (const parameter of parameters) {
    const { at, phi, name, member } = parameter;
    const found = member ? member.reduce(membersOf, nodes).flatMap(entriesOf) : namesakes(nodes, name);
    if (member && found.length === 0) throw mapFault(at, `${type} has no such member as x-phi-member says.`);
    const searched = found.filter(({ rule }) => rule !== undefined);
    if (phi && searched.length === 0)
      throw mapFault(at, `say with x-phi-member, as in /address/city, which protected member of ${type} it searches.`);
    const other = searched.find(({ rule }) => !isSearchedBy(rule, phi));
    if (other)
      throw mapFault(at, `it is to have the class, index and system of ${other.at}, or another name or x-phi-member.`);
    const members = new Set(searched);
    searchedBy.set(name, new Set(nodes.flatMap((node) => [...holdersOf(node, members, type)])));
  }
  return searchedBy;
}

/** Protected members of that name, wherever in the object. */
const namesakes = (nodes: readonly SchemaNode[], name: string): SchemaNode[] =>
  nodes
    .flatMap((node) => [...nodesIn(node)])
    .flatMap(({ properties }) => properties.get(name) ?? [])
    .flatMap(entriesOf);

const membersOf = (nodes: readonly SchemaNode[], name: string): SchemaNode[] =>
  nodes.flatMap(entriesOf).flatMap(({ properties }) => properties.get(name) ?? []);

/** The node itself, and what the lists and maps in its place hold. */
function entriesOf(node: SchemaNode): SchemaNode[] {
  const found = new Set([node]);
  // The set grows while it is walked.
  for (const { items, additional } of found) for (const entry of [items, additional]) if (entry) found.add(entry);
  return [...found];
}

const isSearchedBy = (rule: JsonRule | undefined, phi: QueryRule['phi']): boolean =>
  rule?.index !== undefined &&
  rule.fieldClass === phi?.fieldClass &&
  rule.index.indexClass === phi.index.indexClass &&
  rule.index.system === phi.index.system;
