/** Strict JSON: one reading of every body, the same for the gateway and whatever stands behind it. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from './errors.ts';

export interface JsonLimits {
  /** Objects and arrays inside each other, the outermost counted as 1. */
  readonly maxDepth: number;
}

const DEFAULT_LIMITS: JsonLimits = { maxDepth: 64 };

/**
 * Parses one JSON document. Decimals keep the digits they were sent with (`JSON.rawJSON`).
 *
 * @throws KeywardError `JSON_NOT_UTF8`, `JSON_MALFORMED`, `JSON_TOO_DEEP`, `JSON_DUPLICATE_KEY` (RFC 8259 §4 leaves their meaning open,
 *   so two readers may see two documents) or `JSON_FORBIDDEN_KEY`.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = DEFAULT_LIMITS): Json {
  const text = decode(bytes);
  const value = parseText(text);
  const members = countMembers(value, limits.maxDepth);
  const written = scan(text);
  if (members !== written.members) throw new KeywardError('JSON_DUPLICATE_KEY');
  return written.losesDigits ? parseKeepingDigits(text) : value;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new KeywardError('JSON_NOT_UTF8');
  }
}

function parseText(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    // The parser's message quotes the body, so it goes nowhere.
    throw new KeywardError('JSON_MALFORMED');
  }
}

function parseKeepingDigits(text: string): Json {
  return JSON.parse(text, (_name: string, value: unknown, context: { source?: string }) =>
    typeof value === 'number' && context.source !== undefined && String(value) !== context.source
      ? JSON.rawJSON(context.source)
      : value,
  ) as Json;
}

/** Members of all objects in a value; refuses what is nested deeper than `maxDepth` or named `__proto__`. */
function countMembers(value: Json, maxDepth: number): number {
  if (value === null || typeof value !== 'object') return 0;
  if (maxDepth === 0) throw new KeywardError('JSON_TOO_DEEP');
  let members = 0;
  if (Array.isArray(value)) {
    for (const element of value) members += countMembers(element, maxDepth - 1);
    return members;
  }
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__') throw new KeywardError('JSON_FORBIDDEN_KEY');
    members += 1 + countMembers(member, maxDepth - 1);
  }
  return members;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const NUMBER = /[-+.0-9eE]+/y;

/** What a text already known to be JSON says outside its strings: one colon for every member as written, and its numbers. */
function scan(text: string): { members: number; losesDigits: boolean } {
  let members = 0;
  let losesDigits = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === COLON) members++;
    else if (code === QUOTE) index = endOfString(text, index + 1);
    else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const digits = numberAt(text, index);
      losesDigits ||= String(Number(digits)) !== digits;
      index += digits.length - 1;
    }
  }
  return { members, losesDigits };
}

function numberAt(text: string, index: number): string {
  NUMBER.lastIndex = index;
  return NUMBER.exec(text)?.[0] ?? '';
}

function endOfString(text: string, start: number): number {
  let index = start;
  for (; text.charCodeAt(index) !== QUOTE; index++) if (text.charCodeAt(index) === BACKSLASH) index++;
  return index;
}
