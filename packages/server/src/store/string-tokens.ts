/** Texts of string parameters as blind tokens: whole values where a type is sealed, every beginning where it is not (decision 17). */
import { blindIndex, type DataKey } from '@keyward/sdk/seal';

/** Longest beginning that has a token of its own, in code points of the folded text. */
export const MAX_PREFIX_LETTERS = 64;

/** What the gateway puts in the place of an indexed value: equality is all there is to it. */
const GATEWAY_INDEX = /^kwi1[a-z2-7]{26}$/;

/** Combining marks of Latin, Greek and Cyrillic; marks of other scripts are letters of their own. */
const ACCENTS = /[\u0300-\u036f]+/gu;

/** Code points of a text without accents, letter case and runs of white space (R4 §3.1.1.4.8). */
export function folded(text: string): string[] {
  const bare = text.normalize('NFKD').replace(ACCENTS, '').normalize('NFKC');
  // Only the way through upper case joins ß with ss.
  return Array.from(bare.toLowerCase().toUpperCase().toLowerCase().replace(/\s+/gu, ' ').trim());
}

type Token = string | undefined;

const whole = (key: DataKey, param: string, text: string): Token => blindIndex(key, `store:${param}`, '', text);
const beginning = (key: DataKey, param: string, letters: readonly string[]): Token =>
  blindIndex(key, `store:${param}:beginning`, '', letters.join(''));
/** In hexadecimal, which no normaliser changes. */
const exact = (key: DataKey, param: string, text: string): Token =>
  blindIndex(key, `store:${param}:exact`, '', Buffer.from(text).toString('hex'));

/** The tokens by which a text is found. @param isClear the resource's type is not sealed */
export function stringTokens(key: DataKey, param: string, text: string, isClear: boolean): Token[] {
  if (!isClear || GATEWAY_INDEX.test(text)) return [whole(key, param, text)];
  const letters = folded(text);
  const lengths = Array.from({ length: Math.min(letters.length, MAX_PREFIX_LETTERS) }, (_, index) => index + 1);
  return [exact(key, param, text), ...lengths.map((length) => beginning(key, param, letters.slice(0, length)))];
}

/**
 * The tokens that a search looks for; one must be there. A whole value is always among them: a sealed type has no others, nor has
 * what was written before there were any.
 */
export function soughtTokens(key: DataKey, param: string, text: string, isExact: boolean): Token[] {
  return [whole(key, param, text), isExact ? exact(key, param, text) : beginning(key, param, folded(text))];
}
