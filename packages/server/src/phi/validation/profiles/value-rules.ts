/** What an element definition says about the value itself: fixed values, patterns, bindings, lengths. */
import type { Json } from '@keyward/sdk/seal';
import { isObject, type JsonObject } from '../../marks.ts';
import { isOfSet } from '../value-sets.ts';
import type { ValueRule } from './constraint.ts';
import { type Library, plainUrl, unusable } from './library.ts';
import { hasPattern, isFixed } from './matching.ts';

/** Members of an element definition that would have to be checked and are not. */
const UNSUPPORTED = /^(minValue|maxValue)[A-Z]/;

export interface Around {
  readonly library: Library;
  /** Url of the profile, and id of the element in it. */
  readonly where: string;
  /** Urls that the operator said are not checked. */
  readonly unchecked: ReadonlySet<string>;
  /** Url → where it is referred to; a value set that is not there is added. */
  readonly missing: Map<string, string>;
  /** Name of the value set that R4 binds the element to. */
  readonly coreSet: string;
}

/** @throws KeywardError `FHIR_PROFILE_UNUSABLE` */
export function valueRules(definition: JsonObject, around: Around): ValueRule[] {
  const unsupported = Object.keys(definition).find((name) => UNSUPPORTED.test(name));
  if (unsupported) throw unusable(around.where, `${unsupported} is not supported.`);
  const values = Object.entries(definition).flatMap(([name, value]) => valueRule(name, value) ?? []);
  return [...values, ...bindingRule(definition['binding'], around)];
}

function valueRule(name: string, expected: Json): ValueRule | undefined {
  if (/^fixed[A-Z]/.test(name)) {
    const holds = (value: Json | undefined) => isFixed(value, expected);
    return { rule: 'must have the value that the profile fixes', holds, distinguishes: true, example: expected };
  }
  if (/^pattern[A-Z]/.test(name)) {
    const holds = (value: Json | undefined) => hasPattern(value, expected);
    return { rule: 'must have the pattern of the profile', holds, distinguishes: true, example: expected };
  }
  if (name !== 'maxLength' || typeof expected !== 'number') return undefined;
  const holds = (value: Json | undefined) => typeof value !== 'string' || value.length <= expected;
  return { rule: `must have at most ${expected} characters`, holds, distinguishes: false, example: undefined };
}

function bindingRule(binding: Json | undefined, { library, where, unchecked, missing, coreSet }: Around): ValueRule[] {
  if (!isObject(binding) || binding['strength'] !== 'required' || typeof binding['valueSet'] !== 'string') return [];
  const url = plainUrl(binding['valueSet']);
  if (url === `http://hl7.org/fhir/ValueSet/${coreSet}`) return [];
  const set = library.valueSet(url);
  if (!set) {
    if (!unchecked.has(url)) missing.set(url, where);
    return [];
  }
  const holds = (value: Json | undefined) => value === undefined || isOfSet(value, set);
  return [{ rule: `must be a code of ${url}`, holds, distinguishes: true, example: undefined }];
}
