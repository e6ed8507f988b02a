/** Equality of JSON values as `fixed[x]` and `pattern[x]` mean it (https://hl7.org/fhir/R4/elementdefinition-definitions.html). */
import type { Json } from '@keyward/sdk/seal';
import { isObject } from '../../marks.ts';

/** The same in every part. */
export function isFixed(value: Json | undefined, fixed: Json): boolean {
  if (Array.isArray(fixed))
    return Array.isArray(value) && value.length === fixed.length && fixed.every((part, at) => isFixed(value[at], part));
  if (!isObject(fixed)) return isSamePrimitive(value, fixed);
  if (!isObject(value)) return false;
  const names = Object.keys(fixed);
  return names.length === Object.keys(value).length && names.every((name) => isFixed(value[name], fixed[name] as Json));
}

/** Everything in the pattern is in the value, which may hold more. */
export function hasPattern(value: Json | undefined, pattern: Json): boolean {
  if (Array.isArray(pattern)) {
    const entries = Array.isArray(value) ? (value as readonly Json[]) : [];
    return (pattern as readonly Json[]).every((part) => entries.some((entry) => hasPattern(entry, part)));
  }
  if (!isObject(pattern)) return isSamePrimitive(value, pattern);
  return isObject(value) && Object.entries(pattern).every(([name, part]) => hasPattern(value[name], part));
}

/** Decimals are compared by their digits: 1.0 is not 1.00 in FHIR. */
const isSamePrimitive = (value: Json | undefined, other: Json): boolean =>
  value !== undefined && !isObject(value) && JSON.stringify(value) === JSON.stringify(other);

/** What a fixed value or pattern says about the members at a path inside it. */
export function partsAt(pattern: Json, path: readonly string[]): Json[] {
  if (Array.isArray(pattern)) return (pattern as readonly Json[]).flatMap((part) => partsAt(part, path));
  const [name, ...rest] = path;
  if (name === undefined) return [pattern];
  return isObject(pattern) && pattern[name] !== undefined ? partsAt(pattern[name], rest) : [];
}
