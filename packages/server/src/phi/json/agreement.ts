/** Two schemas of one object may differ in which members they hold, never in how a member is protected: else plaintext goes upstream by one of them. */
import { mapFault } from './document.ts';
import { nodesIn } from './nodes.ts';
import type { BodyRule, DescribedOperation, JsonRule, SchemaNode } from './types.ts';

/** Every schema of an object, by the object's name. */
export type Views = ReadonlyMap<string, readonly SchemaNode[]>;

const rootOf = (body: BodyRule | undefined): SchemaNode[] => (body?.kind === 'mapped' ? [body.node] : []);

/** A request without a named schema is a view of what its operation is about. */
export function viewsOf(operations: readonly DescribedOperation[]): Views {
  const views = new Map<string, Set<SchemaNode>>();
  const add = (name: string, node: SchemaNode) => views.set(name, (views.get(name) ?? new Set()).add(node));
  for (const { type, request, responses } of operations) {
    for (const root of [request, ...responses.values()].flatMap(rootOf))
      for (const node of nodesIn(root)) if (node.object) add(node.object.name, node);
    for (const root of rootOf(request).map(entryOf)) if (!root.object) add(type, root);
  }
  return new Map([...views].map(([name, nodes]) => [name, [...nodes]]));
}

/** What a list is made of, however deep. */
function entryOf(node: SchemaNode): SchemaNode {
  const lists = new Set<SchemaNode>();
  let entry = node;
  for (; entry.items && !entry.object && !lists.has(entry); entry = entry.items) lists.add(entry);
  return entry;
}

/** @throws KeywardError `API_MAP_INVALID` naming two places that disagree */
export function assertAgreement(views: Views): void {
  const seen = new Set<string>();
  const numbers = new Map<SchemaNode, number>();
  const numberOf = (node: SchemaNode): number => {
    if (!numbers.has(node)) numbers.set(node, numbers.size);
    return numbers.get(node) ?? 0;
  };
  const compare = (given: readonly SchemaNode[]) => {
    const nodes = [...new Set(given)];
    const key = nodes
      .map(numberOf)
      .toSorted((left, right) => left - right)
      .join();
    // Schemas may contain themselves.
    if (nodes.length < 2 || seen.has(key)) return;
    seen.add(key);
    assertAlike(nodes);
    compareInner(nodes);
  };
  const compareInner = (nodes: readonly SchemaNode[]) => {
    assertCompanions(nodes);
    for (const name of new Set(nodes.flatMap(({ properties }) => [...properties.keys()])))
      compare(nodes.flatMap(({ properties, additional }) => properties.get(name) ?? additional ?? []));
    compare(nodes.flatMap(({ items }) => items ?? []));
    compare(nodes.flatMap(({ additional }) => additional ?? []));
  };
  for (const nodes of views.values()) compareInner(nodes);
}

/** What a ciphertext is bound to, and where it is stored. */
const protectionOf = (rule: JsonRule | undefined): string =>
  JSON.stringify(rule && [rule.fieldClass, rule.treatment, rule.index, rule.companion, rule.datatype]) ?? 'clear';

const shapeOf = ({ items, properties, additional }: SchemaNode): string =>
  `${items ? 'list ' : ''}${properties.size > 0 || additional ? 'object' : ''}`;

const protectsAnything = (node: SchemaNode): boolean => [...nodesIn(node)].some(({ rule }) => rule !== undefined);

/** Of nodes that stand in the same place of one object. */
const DIFFERENCES: readonly (readonly [why: string, aspect: (node: SchemaNode) => string])[] = [
  ['how the member is protected', ({ rule }) => protectionOf(rule)],
  ['whether it is a value, a list or an object', shapeOf],
  ['which object it is', ({ object }) => object?.name ?? ''],
];

function assertAlike(nodes: readonly SchemaNode[]): void {
  if (!nodes.some(protectsAnything)) return;
  for (const [why, aspect] of DIFFERENCES) assertSame(nodes, aspect, why);
}

function assertSame(nodes: readonly SchemaNode[], aspect: (node: SchemaNode) => string, why: string): void {
  const [first, ...others] = nodes;
  const other = others.find((node) => first && aspect(node) !== aspect(first));
  if (first && other)
    throw mapFault(other.at, `${first.at} describes the same object; the two say differently ${why}.`);
}

/** A member that holds ciphertexts in one view must not be open to clients in another. */
function assertCompanions(nodes: readonly SchemaNode[]): void {
  for (const companion of new Set(nodes.flatMap(({ companions }) => [...companions.keys()])))
    assertSame(
      nodes.filter(({ properties }) => properties.has(companion)),
      ({ companions }) => companions.get(companion) ?? '',
      `whose ciphertext ${companion} holds`,
    );
}
