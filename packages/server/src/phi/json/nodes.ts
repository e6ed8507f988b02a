/** Questions about a body as a whole: which objects it is made of, and which of them is what it is about. */
import type { JsonAbsence, SchemaNode } from './types.ts';

const innerOf = ({ properties, items, additional }: SchemaNode): SchemaNode[] =>
  [...properties.values(), items, additional].filter((node) => node !== undefined);

/** Nodes from the outside in, each once: schemas may contain themselves. */
export function* nodesIn(root: SchemaNode, enters: (node: SchemaNode) => boolean = () => true): Iterable<SchemaNode> {
  const seen = new Set<SchemaNode>([root]);
  // The set grows while it is walked.
  for (const node of seen) {
    yield node;
    if (enters(node)) for (const inner of innerOf(node)) seen.add(inner);
  }
}

export const objectsIn = (node: SchemaNode): string[] => [
  ...new Set([...nodesIn(node)].flatMap(({ object }) => (object ? [object.name] : []))),
];

/** The outermost named object that holds protected members itself, else the outermost named one: a page is about its entries. */
export function mainObject(node: SchemaNode): string | undefined {
  const objects = [...nodesIn(node)].filter(({ object }) => object !== undefined);
  const holder = objects.find(({ properties }) => [...properties.values()].some(({ rule }) => rule !== undefined));
  return (holder ?? objects[0])?.object?.name;
}

/** Whether an object is only there to hold objects of a type. */
export function isPage(node: SchemaNode, type: string): boolean {
  const own = [...nodesIn(node, (inner) => inner === node || inner.object === undefined)];
  return node.object?.name !== type && own.every(({ rule }) => rule === undefined) && objectsIn(node).includes(type);
}

/** Names of the objects that hold one of these members. @param type of the part itself */
export function holdersOf(part: SchemaNode, members: ReadonlySet<SchemaNode>, type: string): ReadonlySet<string> {
  const holders = new Set<string>();
  eachWithOwner(part, type, (node, owner) => {
    if (members.has(node)) holders.add(owner);
  });
  return holders;
}

/** What may be in a part of an object of this type. */
export function contentsOf(part: SchemaNode, type: string): Pick<JsonAbsence, 'type' | 'fieldClass'>[] {
  const found: Pick<JsonAbsence, 'type' | 'fieldClass'>[] = [];
  eachWithOwner(part, type, (node, owner) => {
    if (node.object) found.push({ type: owner, fieldClass: undefined });
    if (node.rule) found.push({ type: owner, fieldClass: node.rule.fieldClass });
  });
  return found;
}

/** Every node with the named object it is of, from the outside in, each pair once. */
function eachWithOwner(part: SchemaNode, type: string, take: (node: SchemaNode, owner: string) => void): void {
  const seen = new Map<string, Set<SchemaNode>>();
  const visit = (node: SchemaNode, around: string): void => {
    const owner = node.object?.name ?? around;
    const visited = seen.get(owner) ?? new Set();
    if (visited.has(node)) return;
    seen.set(owner, visited.add(node));
    take(node, owner);
    for (const inner of innerOf(node)) visit(inner, owner);
  };
  visit(part, type);
}
