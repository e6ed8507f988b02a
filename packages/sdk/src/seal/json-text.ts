/** The plaintext of a field: its value as JSON text, which brings back type and digits exactly. */
import { SealError } from './errors.ts';
import type { Json } from './types.ts';

/** @throws SealError `SEAL_VALUE_UNSUPPORTED` for what JSON would drop or turn into something else. */
export function writeJsonText(value: Json): string {
  if (typeof value === 'string') return JSON.stringify(value);
  try {
    return JSON.stringify(value, refuseLoss);
  } catch {
    throw new SealError('SEAL_VALUE_UNSUPPORTED');
  }
}

/** `this` holds the member as it was before `toJSON`, so dates and the like are seen too. */
function refuseLoss(this: Readonly<Record<string, unknown>>, name: string, value: unknown): unknown {
  if (this[name] !== value || !isJson(value)) throw new SealError('SEAL_VALUE_UNSUPPORTED');
  return value;
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return false;
  return Array.isArray(value) || isPlainObject(value);
}

/** `JSON.rawJSON` objects have no prototype, so they pass too. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Numbers whose text a JavaScript number would change (1.50, 12345678901234567890) come back as `JSON.rawJSON`. */
export function readJsonText(text: string): Json {
  const value = JSON.parse(text) as Json;
  if (typeof value === 'string' || JSON.stringify(value) === text.trimEnd()) return value;
  return JSON.parse(text, keepDigits) as Json;
}

function keepDigits(_name: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || context.source === undefined || String(value) === context.source) return value;
  return JSON.rawJSON(context.source);
}
