/** References between resources of different files: what a server assigned takes the place of what the file called it. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, listAt, textAt } from '../json.ts';
import type { HttpAnswer } from '../http.ts';

/** What files call a resource (`urn:uuid:…` or `Type/id`) → the `Type/id` that the server assigned. */
export interface Assigned {
  get(name: string): string | undefined;
}

/** A copy in which every `reference` that was assigned is replaced; numbers keep their digits. */
export function rewriteReferences<T extends Json>(value: T, assigned: Assigned): T {
  const rewrite = (node: Json): Json => {
    if (Array.isArray(node)) return node.map(rewrite);
    if (!isObject(node)) return node;
    return Object.fromEntries(
      Object.entries(node).map(([name, member]) =>
        name === 'reference' && typeof member === 'string'
          ? [name, assigned.get(member) ?? member]
          : [name, rewrite(member)],
      ),
    );
  };
  return rewrite(value) as T;
}

/** What the server assigned to each of `names`, read from one answer. */
export function readAssigned(names: readonly (string | undefined)[], answer: HttpAnswer): Map<string, string> {
  const locations =
    textAt(answer.body, 'resourceType') === 'Bundle'
      ? listAt(answer.body, 'entry').map((entry) => textAt(entry, 'response', 'location'))
      : [answer.location];
  const found = names.map((name, index) => [name, referenceIn(locations[index])] as const);
  return new Map(found.filter((pair): pair is [string, string] => pair[0] !== undefined && pair[1] !== undefined));
}

/** `https://host/fhir/Patient/1/_history/2` → `Patient/1`. */
function referenceIn(location: string | undefined): string | undefined {
  const [, reference] =
    /(?:^|\/)([A-Z][A-Za-z]+\/[A-Za-z0-9.-]{1,64})(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/.exec(location ?? '') ?? [];
  return reference;
}
