/** Whose record an object is must follow from every write of it, once it follows from any body: else it is sealed under a key that nobody looks for. */
import type { Views } from './agreement.ts';
import { mapFault } from './document.ts';
import type { BodyRule, DescribedOperation, SchemaNode } from './types.ts';

/** An object with protected members, as one body holds it. */
interface Holder {
  readonly name: string;
  readonly at: string;
  readonly hasSubject: boolean;
}

/** @throws KeywardError `API_MAP_INVALID` naming two places that do not go together */
export function assertSubjects(operations: readonly DescribedOperation[], views: Views): void {
  for (const nodes of views.values()) assertOnePointer(nodes);
  const written = operations.flatMap((operation) => holdersIn(operation, [operation.request]));
  const answered = operations.flatMap((operation) => holdersIn(operation, [...operation.responses.values()]));
  const named = new Map([...answered, ...written].filter(({ hasSubject }) => hasSubject).map((one) => [one.name, one]));
  for (const { name, at, hasSubject } of written) {
    const other = named.get(name);
    if (!hasSubject && other)
      throw mapFault(
        at,
        `${name} has a subject at ${other.at}, and could not be read there: say x-phi-subject in this schema or its operation too.`,
      );
  }
}

function assertOnePointer(nodes: readonly SchemaNode[]): void {
  const [first, ...others] = nodes.filter(({ object }) => object?.subject !== undefined);
  const other = others.find(({ object }) => String(object?.subject) !== String(first?.object?.subject));
  if (first && other)
    throw mapFault(other.at, `${first.at} describes the same object and names another member as its subject.`);
}

function holdersIn({ type, subject }: DescribedOperation, bodies: readonly (BodyRule | undefined)[]): Holder[] {
  const found = new Map<string, Holder>();
  const seen = new Map<SchemaNode, Set<string>>();
  const visit = (node: SchemaNode, around: Holder) => {
    const holder = node.object ? inside(node, node.object, around) : around;
    const key = `${holder.name} ${holder.hasSubject}`;
    const before = seen.get(node) ?? new Set();
    if (before.has(key)) return;
    seen.set(node, before.add(key));
    if (node.rule) found.set(key, holder);
    for (const inner of [...node.properties.values(), node.items, node.additional]) if (inner) visit(inner, holder);
  };
  for (const body of bodies)
    if (body?.kind === 'mapped') visit(body.node, { name: type, at: body.node.at, hasSubject: subject !== undefined });
  return [...found.values()];
}

/** It may name its subject itself, else it is that of the object around it. */
const inside = ({ at }: SchemaNode, { name, subject }: NonNullable<SchemaNode['object']>, around: Holder): Holder => ({
  name,
  at,
  hasSubject: around.hasSubject || subject !== undefined,
});
