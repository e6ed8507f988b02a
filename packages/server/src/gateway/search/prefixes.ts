/** Names by their beginnings: asked of the upstream as identifiers of ours, and compared again with the opened names. */
import {
  type Catalogue,
  firstLetters,
  INDEX_SYSTEM,
  type IndexClass,
  LEAST_PREFIX_LETTERS,
  lettersOf,
  MOST_PREFIX_LETTERS,
  prefixClassOf,
  type SearchTarget,
} from '../../phi/index.ts';
import type { Draft } from '../search.ts';
import type { Asked } from './asked.ts';
import { prefixDigest } from './filters.ts';
import { invalidParameter, unescape } from './values.ts';

/**
 * The classes to ask a parameter in when it is asked by beginnings; undefined where it is asked by equality: with `:exact`, at the end
 * of a link, and when not all that it looks at (`name`: family and given) is indexed so.
 */
export function prefixClassesOf(
  { type, linked, modifier }: Pick<Asked, 'type' | 'linked' | 'modifier'>,
  target: SearchTarget,
  catalogue: Catalogue,
): readonly IndexClass[] | undefined {
  if (target.kind !== 'blind-string' || linked || modifier !== undefined) return undefined;
  const classes = target.classes.flatMap((indexClass) => prefixClassOf(type, indexClass, catalogue) ?? []);
  return classes.length === target.classes.length ? classes : undefined;
}

/** @throws KeywardError `FHIR_PARAM_INVALID` for a beginning that is too short */
export function planPrefixes(
  draft: Draft,
  code: string,
  alternatives: readonly string[],
  classes: readonly IndexClass[],
): void {
  const asked = alternatives.flatMap((alternative) =>
    classes.map((indexClass) => ({ indexClass, system: '', text: unescape(alternative) })),
  );
  const lengths = asked.map(({ indexClass, text }) => lettersOf(indexClass, text).length);
  if (lengths.some((length) => length < LEAST_PREFIX_LETTERS))
    throw invalidParameter(
      `Parameter ${code} finds names by their first letters: send ${LEAST_PREFIX_LETTERS} at least, or ${code}:exact with the whole name.`,
    );
  const terms = asked.map((term) => ({
    ...term,
    text: firstLetters(term.indexClass, term.text, MOST_PREFIX_LETTERS),
    tokenSystem: INDEX_SYSTEM,
  }));
  draft.blind.push({ name: 'identifier', terms });
  const narrows = lengths.some((length) => length > MOST_PREFIX_LETTERS);
  draft.filters.push({ code, test: 'prefix', any: asked.map(prefixDigest), ...(narrows ? { narrows } : {}) });
}
