/** One walk over a body and its schema, for sealing and for opening alike; the visitor decides what stands in each place. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from '../marks.ts';
import { below } from './document.ts';
import { isPage } from './nodes.ts';
import type { JsonObjectSpot, JsonRule, SchemaNode } from './types.ts';

export interface Held {
  readonly value: Json | undefined;
  /** Of the companion member; undefined where there is none. */
  readonly companion: Json | undefined;
}

export interface Spot {
  readonly rule: JsonRule;
  /** Of names that the description holds: it may be told. */
  readonly path: string;
  /** With the names of further members too: what a ciphertext is bound to. */
  readonly boundPath: string;
  /** Position of the object it belongs to. */
  readonly object: number;
  /** Whether the schema wants something in this place. */
  readonly required: boolean;
}

export interface Visitor {
  /** Called for every named object, from the outside in; their positions count up from 1, the body itself is 0. False leaves it out. */
  object(spot: JsonObjectSpot): boolean;
  protect(spot: Spot, held: Held): Held;
  /** A single value without a rule, and the name of a further member. */
  clear(value: Json, path: string): Json;
  /** What no schema describes: a refusal, or left out. */
  undescribed(path: string): void;
  absent(lack: Lack): void;
}

/** A place that holds nothing: a member that is not there or null, or the end of a list or map, where more could stand. */
export interface Lack {
  readonly part: SchemaNode;
  /** Object it belongs to. */
  readonly type: string;
  readonly entries: boolean;
  readonly isNull: boolean;
  readonly inList: boolean;
}

interface Where {
  readonly path: string;
  readonly boundPath: string;
  readonly object: number;
  readonly type: string;
  /** Pages may stand here: around it is nothing else. */
  readonly inPage: boolean;
  readonly inList: boolean;
}

/** @param type name of the body where its schema has none */
export function rewriteBody(root: SchemaNode, body: Json, type: string, visitor: Visitor): Json | undefined {
  let objects = 0;
  const rewrite = (node: SchemaNode, value: Json, where: Where): Json | undefined => {
    if (node.rule)
      return visitor.protect({ rule: node.rule, ...where, required: false }, { value, companion: undefined }).value;
    if (Array.isArray(value)) return list(node, value as readonly Json[], where);
    if (isObject(value)) return node.object ? named(node, value, node.object.name, where) : members(node, value, where);
    if (value === null) visitor.absent({ ...where, part: node, entries: false, isNull: true });
    return visitor.clear(value, where.path);
  };
  const named = (node: SchemaNode, value: JsonObject, name: string, where: Where): Json | undefined => {
    const page = where.inPage && isPageHere(node);
    const isShown = visitor.object({ ...spotOf(node, value, name), around: where.object, page });
    objects += 1;
    // What is left out is walked too: whoever counts its places must meet them all.
    const rewritten = members(node, value, {
      ...where,
      path: name,
      boundPath: name,
      object: objects,
      type: name,
      inPage: page,
    });
    return isShown ? rewritten : undefined;
  };
  const pages = new Map<SchemaNode, boolean>();
  const isPageHere = (node: SchemaNode): boolean => {
    const found = pages.get(node) ?? isPage(node, type);
    pages.set(node, found);
    return found;
  };
  const list = (node: SchemaNode, values: readonly Json[], where: Where): Json => {
    const { items } = node;
    if (items) {
      const inside = { ...where, inList: true };
      visitor.absent({ ...inside, part: items, entries: true, isNull: false });
      return values.map((entry) => rewrite(items, entry, inside)).filter((entry) => entry !== undefined);
    }
    if (values.length > 0) visitor.undescribed(where.path);
    return [];
  };
  const members = (node: SchemaNode, value: JsonObject, where: Where): Json => {
    const entries: [string, Json | undefined][] = [];
    for (const [name, member] of Object.entries(value)) {
      const owner = node.companions.get(name);
      if (owner !== undefined && Object.hasOwn(value, owner)) continue;
      const main = owner ?? name;
      const inner = node.properties.get(main);
      const there = { ...where, path: below(where.path, main), boundPath: below(where.boundPath, main) };
      if (inner?.rule) entries.push(...protectedMember(node, inner.rule, main, value, there));
      else if (inner) entries.push([name, rewrite(inner, member, there)]);
      else if (node.additional) {
        visitor.clear(name, where.path);
        // Names of further members are data, so they are not told.
        entries.push([name, rewrite(node.additional, member, { ...there, path: where.path })]);
      } else visitor.undescribed(where.path);
    }
    for (const [name, part] of node.properties) {
      const held = own(value, name);
      // What is null without a rule was met above.
      if (held === undefined || (held === null && part.rule))
        visitor.absent({ ...where, part, entries: false, isNull: held === null });
    }
    if (node.additional) visitor.absent({ ...where, part: node.additional, entries: true, isNull: false });
    return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
  };
  const protectedMember = (
    node: SchemaNode,
    rule: JsonRule,
    name: string,
    siblings: JsonObject,
    where: Where,
  ): [string, Json | undefined][] => {
    const held = { value: own(siblings, name), companion: rule.companion && own(siblings, rule.companion) };
    const { value, companion } = visitor.protect({ rule, ...where, required: node.required.has(name) }, held);
    return [[name, value], ...(rule.companion ? [[rule.companion, companion] as [string, Json | undefined]] : [])];
  };
  return rewrite(root, body, { path: type, boundPath: type, object: 0, type, inPage: true, inList: false });
}

const own = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

/** Ids are told to nobody but the ledger, and only where they are opaque names. */
const OPAQUE_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** What is known of an object before anything is opened. */
function spotOf(
  { object, properties }: SchemaNode,
  value: JsonObject,
  type: string,
): Omit<JsonObjectSpot, 'around' | 'page'> {
  const id = properties.get('id')?.rule ? undefined : scalarText(own(value, 'id'));
  const named = object?.subject?.reduce<Json | undefined>(
    (holder, part) => (isObject(holder) ? own(holder, part) : undefined),
    value,
  );
  const subject = scalarText(named);
  return {
    type,
    id: [id, subject].find((text) => text !== undefined && OPAQUE_ID.test(text)),
    subject,
    namesSubject: object?.subject !== undefined,
  };
}

function scalarText(value: Json | undefined): string | undefined {
  if (typeof value === 'number' || (value !== undefined && JSON.isRawJSON(value))) return JSON.stringify(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The body itself, which is what the address says. */
export const bodySpot = ({ type, subject }: Pick<JsonObjectSpot, 'type' | 'subject'>): JsonObjectSpot => ({
  type,
  id: undefined,
  subject,
  namesSubject: false,
  around: 0,
  page: false,
});
