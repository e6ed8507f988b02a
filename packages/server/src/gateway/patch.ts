/** JSON Patch (RFC 6902) over JSON whose decimals keep their digits: read strictly, applied to one copy, all operations or none. */
import type { Json } from '@keyward/sdk/seal';
import { type ErrorCode, KeywardError } from '../core/index.ts';

type Pointer = readonly string[];
type JsonObject = { readonly [name: string]: Json };

export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: Pointer; readonly value: Json }
  | { readonly op: 'remove'; readonly path: Pointer }
  | { readonly op: 'move' | 'copy'; readonly path: Pointer; readonly from: Pointer };

/** Who changes more sends the resource. */
const MAX_OPERATIONS = 1_000;
/** As deep as a body may be; a result that is deeper could be stored, and read by nobody. */
const MAX_DEPTH = 64;
/** Longer ones are the same only when they are written alike: nobody's decimal has so many digits. */
const MAX_NUMBER_CHARACTERS = 400;

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** @throws KeywardError `FHIR_PATCH_INVALID`, naming the operation by position. */
export function readPatch(body: Json | undefined): PatchOperation[] {
  if (!isList(body) || body.length === 0) throw new KeywardError('FHIR_PATCH_INVALID');
  if (body.length > MAX_OPERATIONS)
    throw new KeywardError('FHIR_PATCH_INVALID', { detail: `At most ${MAX_OPERATIONS} operations.` });
  return body.map((operation, position) =>
    readOperation(operation, (why) => fault('FHIR_PATCH_INVALID', position, why)),
  );
}

const fault = (code: ErrorCode, position: number, why: string) =>
  new KeywardError(code, { detail: `Operation ${position}: ${why}` });

type Refuse = (why: string) => KeywardError;

function readOperation(operation: Json, refuse: Refuse): PatchOperation {
  if (!isObject(operation)) throw refuse('it is no object.');
  const { op } = operation;
  const path = readPointer(operation['path'], 'path', refuse);
  if (op === 'remove') return { op, path };
  if (op === 'move' || op === 'copy') return { op, path, from: readPointer(operation['from'], 'from', refuse) };
  if (op !== 'add' && op !== 'replace' && op !== 'test')
    throw refuse('op is add, remove, replace, move, copy or test.');
  if (operation['value'] === undefined) throw refuse('it has no value.');
  return { op, path, value: operation['value'] };
}

/** RFC 6901. A name that would reach into the prototype of an object is none of FHIR's. */
function readPointer(pointer: Json | undefined, member: string, refuse: Refuse): Pointer {
  if (typeof pointer !== 'string' || !/^(?:\/(?:[^~/]|~[01])*)*$/s.test(pointer))
    throw refuse(`${member} is no JSON Pointer.`);
  const tokens = pointer.split('/').slice(1);
  const names = tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (names.includes('__proto__')) throw refuse(`${member} holds a forbidden name.`);
  if (names.length > MAX_DEPTH) throw refuse(`${member} is longer than a resource is deep.`);
  return names;
}

/**
 * @param maxBytes no more than this may be copied in all: copies of copies double with every operation
 * @throws KeywardError `FHIR_PATCH_FAILED` naming the operation by position, `GATEWAY_BODY_TOO_LARGE` or `JSON_TOO_DEEP`
 */
export function applyPatch(document: Json, operations: readonly PatchOperation[], maxBytes: number): Json {
  // The one copy that is changed; the holder lets an operation replace the whole.
  const holder = { whole: copyOf(document) };
  let copiedBytes = 0;
  for (const [position, operation] of operations.entries()) {
    const refuse: Refuse = (why) => fault('FHIR_PATCH_FAILED', position, why);
    if (operation.op === 'copy') {
      copiedBytes += sizeBytes(valueAt(holder.whole, operation.from, refuse), maxBytes - copiedBytes);
      if (copiedBytes > maxBytes) throw new KeywardError('GATEWAY_BODY_TOO_LARGE');
    }
    applyOne(holder, operation, refuse);
  }
  if (depthOf(holder.whole) > MAX_DEPTH) throw new KeywardError('JSON_TOO_DEEP');
  return holder.whole;
}

interface Holder {
  whole: Json;
}

type Mutable = Json[] | { [name: string]: Json };

function applyOne(holder: Holder, operation: PatchOperation, refuse: Refuse): void {
  const { op, path } = operation;
  if (op === 'remove') return remove(holder, path, refuse);
  if ('from' in operation) {
    const { from } = operation;
    if (op === 'move') return move(holder, from, path, refuse);
    return add(holder, path, copyOf(valueAt(holder.whole, from, refuse)), refuse);
  }
  const { value } = operation;
  if (op === 'add') return add(holder, path, copyOf(value), refuse);
  if (op === 'replace') return replace(holder, path, copyOf(value), refuse);
  if (!isSame(valueAt(holder.whole, path, refuse), value)) throw refuse('the value is another one.');
}

function replace(holder: Holder, path: Pointer, value: Json, refuse: Refuse): void {
  valueAt(holder.whole, path, refuse);
  if (path.length === 0) holder.whole = value;
  else set(parentOf(holder, path, refuse), path.at(-1) as string, value);
}

function move(holder: Holder, from: Pointer, path: Pointer, refuse: Refuse): void {
  const value = valueAt(holder.whole, from, refuse);
  const inside = path.length > from.length && from.every((name, index) => name === path[index]);
  // RFC 6902 §4.4.
  if (inside) throw refuse('nothing moves into itself.');
  if (from.join('/') === path.join('/')) return;
  remove(holder, from, refuse);
  add(holder, path, value, refuse);
}

function add(holder: Holder, path: Pointer, value: Json, refuse: Refuse): void {
  if (path.length === 0) return void (holder.whole = value);
  const parent = parentOf(holder, path, refuse);
  const name = path.at(-1) as string;
  if (!Array.isArray(parent)) return set(parent, name, value);
  parent.splice(name === '-' ? parent.length : indexOf(name, parent.length, refuse), 0, value);
}

function remove(holder: Holder, path: Pointer, refuse: Refuse): void {
  valueAt(holder.whole, path, refuse);
  if (path.length === 0) throw refuse('the whole resource is not removed by a patch.');
  const parent = parentOf(holder, path, refuse);
  const name = path.at(-1) as string;
  if (Array.isArray(parent)) parent.splice(Number(name), 1);
  else delete parent[name];
}

function set(parent: Mutable, name: string, value: Json): void {
  if (Array.isArray(parent)) parent[Number(name)] = value;
  else parent[name] = value;
}

function parentOf(holder: Holder, path: Pointer, refuse: Refuse): Mutable {
  const parent = valueAt(holder.whole, path.slice(0, -1), refuse);
  if (isList(parent) || isObject(parent)) return parent as Mutable;
  throw refuse('the path leads through a value that holds nothing.');
}

/** Numbers that keep their digits are shared: nothing changes them. */
function copyOf(value: Json): Json {
  if (isList(value)) return value.map(copyOf);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copyOf(member)]));
}

function depthOf(value: Json): number {
  const parts = isList(value) ? value : isObject(value) ? Object.values(value) : undefined;
  return parts === undefined ? 0 : 1 + parts.reduce<number>((deepest, part) => Math.max(deepest, depthOf(part)), 0);
}

const valueAt = (document: Json, path: Pointer, refuse: Refuse): Json =>
  path.reduce<Json>((value, name) => childAt(value, name, refuse), document);

function childAt(value: Json, name: string, refuse: Refuse): Json {
  if (isList(value)) return value[indexOf(name, value.length - 1, refuse)] as Json;
  const child = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  if (child === undefined) throw refuse('there is nothing at its path.');
  return child;
}

/** RFC 6901 §4: digits without a leading zero. */
function indexOf(name: string, last: number, refuse: Refuse): number {
  if (!/^(?:0|[1-9]\d{0,8})$/.test(name) || Number(name) > last) throw refuse('there is no such place in a list.');
  return Number(name);
}

/** RFC 6902 §4.6. */
function isSame(one: Json, other: Json): boolean {
  if (isList(one)) {
    return (
      isList(other) && one.length === other.length && one.every((value, index) => isSame(value, other[index] as Json))
    );
  }
  if (!isObject(one)) return !isList(other) && !isObject(other) && scalar(one) === scalar(other);
  if (!isObject(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name] as Json, other[name] as Json))
  );
}

/** Numbers are the same when they are equal in number, however they are written: 1.50 is 1.5, and no digit is lost in between. */
function scalar(value: Json): string {
  const text = JSON.stringify(value);
  if (text.length > MAX_NUMBER_CHARACTERS) return text;
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? [];
  if (sign === undefined) return text;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return significant === '' ? '0' : `${sign}${significant}e${power}`;
}

/** Of the value as JSON, roughly; stops counting beyond the limit. */
function sizeBytes(value: Json, limit: number): number {
  if (isList(value))
    return sumUpTo(
      value.map((entry) => [0, entry] as const),
      limit,
    );
  if (isObject(value))
    return sumUpTo(
      Object.entries(value).map(([name, member]) => [name.length + 3, member] as const),
      limit,
    );
  return typeof value === 'string' ? value.length + 2 : 8;
}

function sumUpTo(parts: readonly (readonly [extra: number, value: Json])[], limit: number): number {
  let sum = 2;
  for (const [extra, value] of parts) {
    if (sum > limit) break;
    sum += extra + 1 + sizeBytes(value, limit - sum);
  }
  return sum;
}
