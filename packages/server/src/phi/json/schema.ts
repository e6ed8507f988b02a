/** From schemas to nodes: what allOf, anyOf, oneOf and $ref say together about each place of a body. */
import type { Json } from '@keyward/sdk/seal';
import { type ApiDocument, below, localPointer, mapFault, type Place } from './document.ts';
import { assertKeywords } from './keywords.ts';
import { hasPhi, ruleAt } from './rule.ts';
import type { JsonRule, ObjectRule, SchemaNode } from './types.ts';

const COMBINING = ['allOf', 'anyOf', 'oneOf'] as const;

interface Draft extends SchemaNode {
  object: ObjectRule | undefined;
  rule: JsonRule | undefined;
  readonly properties: Map<string, SchemaNode>;
  readonly companions: Map<string, string>;
  readonly required: Set<string>;
  items: SchemaNode | undefined;
  additional: SchemaNode | undefined;
}

export interface SchemaReader {
  /** @throws KeywardError `API_MAP_INVALID` naming the place. */
  nodeOf(schema: Place): SchemaNode;
  /** Name of the object a schema describes, undefined where it has none. */
  nameOf(schema: Place): string | undefined;
}

export function createSchemaReader(document: ApiDocument, api: string): SchemaReader {
  const made = new Map<string, Draft>();
  /** @param member name of the property, undefined in lists and maps */
  const nodeOf = (schemas: readonly Place[], member?: string): SchemaNode => {
    const key = [member ?? '', ...schemas.map(({ at }) => at).toSorted()].join('\n');
    const known = made.get(key);
    if (known) return known;
    const draft: Draft = {
      at: (schemas[0] && document.resolved(schemas[0]).at) ?? '',
      object: undefined,
      rule: undefined,
      properties: new Map(),
      companions: new Map(),
      required: new Set(),
      items: undefined,
      additional: undefined,
    };
    // Known before it is complete, since schemas may contain themselves.
    made.set(key, draft);
    fill(draft, partsOf(document, schemas), schemas, member);
    return draft;
  };
  const fill = (draft: Draft, parts: readonly Place[], schemas: readonly Place[], member: string | undefined) => {
    const properties = new Map<string, Place[]>();
    const [items, additional]: [Place[], Place[]] = [[], []];
    for (const part of parts) {
      assertKeywords(part);
      for (const [name, place] of document.children(document.child(part, 'properties')))
        properties.set(name, [...(properties.get(name) ?? []), place]);
      for (const name of textsIn(part.value['required'])) draft.required.add(name);
      const item = document.child(part, 'items');
      if (item) items.push(item);
      if (typeof part.value['additionalProperties'] === 'object')
        additional.push(document.child(part, 'additionalProperties') as Place);
    }
    draft.rule = agreedRule(parts, api, member);
    for (const [name, places] of properties) draft.properties.set(name, nodeOf(places, name));
    if (items.length > 0) draft.items = nodeOf(items);
    if (additional.length > 0) draft.additional = nodeOf(additional);
    addCompanions(draft, parts);
    const isObject = draft.properties.size > 0 || draft.additional !== undefined;
    if (draft.rule && (isObject || draft.items))
      throw mapFault(parts[0]?.at ?? '', 'x-phi belongs on single values, not on what contains others.');
    const name = isObject ? schemas.map((schema) => objectName(document, schema)).find(Boolean) : undefined;
    if (name !== undefined) draft.object = { name, subject: subjectOf(draft, parts) };
  };
  return { nodeOf: (schema) => nodeOf([schema]), nameOf: (schema) => objectName(document, schema) };
}

/** The schemas themselves and all they refer to or combine. */
function partsOf(document: ApiDocument, schemas: readonly Place[]): Place[] {
  const parts = new Map<string, Place>();
  const add = (place: Place) => {
    if (parts.has(place.at)) return;
    parts.set(place.at, place);
    if (place.value['$ref'] !== undefined) add(document.resolved(place));
    for (const keyword of COMBINING) document.list(place, keyword).forEach(add);
  };
  schemas.forEach(add);
  return [...parts.values()];
}

const textsIn = (value: Json | undefined): string[] =>
  Array.isArray(value) ? (value as readonly Json[]).filter((entry) => typeof entry === 'string') : [];

/** Alternatives may describe one member in several ways; if it identifies in one of them, it is protected in all. */
function agreedRule(parts: readonly Place[], api: string, member: string | undefined): JsonRule | undefined {
  const [first, ...others] = parts.filter(hasPhi).map((part) => ({ part, rule: ruleAt(part, api, member) }));
  const differs = others.find(({ rule }) => JSON.stringify(rule) !== JSON.stringify(first?.rule));
  if (differs) throw mapFault(below(differs.part.at, 'x-phi'), 'another schema of the same member says otherwise.');
  return first?.rule;
}

function addCompanions(draft: Draft, parts: readonly Place[]): void {
  const at = parts[0]?.at ?? '';
  for (const [name, { rule }] of draft.properties) {
    const companion = rule?.companion;
    if (companion === undefined) continue;
    const described = draft.properties.get(companion);
    if (!described || described.rule || described.items || described.properties.size > 0)
      throw mapFault(
        at,
        `${name} needs a member ${companion} of type string beside it, without x-phi, for its ciphertext.`,
      );
    if (draft.companions.has(companion)) throw mapFault(at, `${companion} is the companion of two members.`);
    draft.companions.set(companion, name);
  }
}

const COMPONENT = /^\/components\/schemas\/([^/]+)$/;

/** `x-phi-object`, or the name of the component, also one that a single `allOf` only adds a description to. */
function objectName(document: ApiDocument, schema: Place): string | undefined {
  const said = schema.value['x-phi-object'];
  if (said !== undefined) {
    if (typeof said !== 'string' || !OBJECT_NAME.test(said)) throw mapFault(schema.at, 'x-phi-object is not a name.');
    return said;
  }
  const reference = schema.value['$ref'];
  if (reference !== undefined) {
    const target = localPointer(reference, schema.at);
    const through = document.resolved({ at: schema.at, value: { $ref: reference } });
    return textOf(through.value['x-phi-object']) ?? COMPONENT.exec(target)?.[1];
  }
  const own = COMPONENT.exec(schema.at)?.[1];
  const combined = document.list(schema, 'allOf');
  return own ?? (combined.length === 1 ? objectName(document, combined[0] as Place) : undefined);
}

export const OBJECT_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const textOf = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** `x-phi-subject: /memberId`: a clear single value of the object itself, so that it is there before anything is opened. */
function subjectOf(draft: Draft, parts: readonly Place[]): readonly string[] | undefined {
  const said = parts.filter(({ value }) => value['x-phi-subject'] !== undefined);
  const [first] = said;
  if (!first) return undefined;
  const pointer = first.value['x-phi-subject'];
  const names = typeof pointer === 'string' && pointer.startsWith('/') ? pointer.slice(1).split('/') : [];
  const found = names.reduce<SchemaNode | undefined>((node, name) => node?.properties.get(name), draft);
  if (said.some(({ value }) => value['x-phi-subject'] !== pointer) || names.length === 0)
    throw mapFault(first.at, 'x-phi-subject is one pointer, as in /memberId.');
  if (!found || found.rule || found.items || found.properties.size > 0)
    throw mapFault(
      first.at,
      'x-phi-subject must lead to a single value without x-phi: it is needed before anything is opened.',
    );
  return names;
}
