/** Values of search parameters: alternatives, token parts, escapes (FHIR R4 §3.1.1.4.19). */
import { KeywardError } from '../../core/index.ts';

/** More are no question a person asks; each costs a hash and a place in the upstream's query. */
const MAX_ALTERNATIVES = 500;

/** A comma separates alternatives, a backslash escapes `, | $ \`. */
export function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\') index++;
    else if (text[index] === separator) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  return [...parts, text.slice(start)];
}

export const unescape = (text: string): string => text.replace(/\\([,|$\\])/g, '$1');

/** @param name as it may stand in an error: a code of R4 */
export function alternativesOf(name: string, value: string): string[] {
  const alternatives = splitUnescaped(value, ',');
  if (alternatives.length <= MAX_ALTERNATIVES) return alternatives;
  throw invalidParameter(`Parameter ${name}: at most ${MAX_ALTERNATIVES} alternatives.`);
}

export const invalidParameter = (detail: string): KeywardError => new KeywardError('FHIR_PARAM_INVALID', { detail });

export const unsupportedParameter = (detail: string): KeywardError =>
  new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail });
