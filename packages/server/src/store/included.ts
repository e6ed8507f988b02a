/** Walks from the resources of a page to what belongs on it: one statement per level, within bounds. */
import { KeywardError } from '../core/index.ts';
import {
  type IncludedRow,
  type IncludeRule,
  MAX_LEVELS,
  refuseTooMany,
  stepByRules,
  stepToTypes,
} from './search-includes.ts';
import type { Statement } from './session.ts';
import type { Address } from './types.ts';

type Query = (statement: Statement) => Promise<IncludedRow[]>;

/** @throws KeywardError `FHIR_INCLUDES_TOO_MANY` */
export async function includedByRules(
  matches: readonly Address[],
  rules: readonly IncludeRule[],
  query: Query,
): Promise<IncludedRow[]> {
  const included: IncludedRow[] = [];
  let source = matches;
  let next = rules;
  for (let level = 1; source.length > 0 && next.length > 0; level++) {
    if (level > MAX_LEVELS) throw new KeywardError('FHIR_INCLUDES_TOO_MANY');
    const found = await query(stepByRules({ source, known: [...matches, ...included] }, next));
    included.push(...found);
    refuseTooMany(included);
    source = found;
    next = rules.filter(({ iterate }) => iterate);
  }
  return included;
}

/** What the members of a record refer to, one step away. @throws KeywardError `FHIR_INCLUDES_TOO_MANY` */
export async function includedOfTypes(
  members: readonly Address[],
  types: readonly string[],
  since: string | undefined,
  query: Query,
): Promise<IncludedRow[]> {
  if (members.length === 0 || types.length === 0) return [];
  const included = await query(stepToTypes({ source: members, known: members }, types, since));
  refuseTooMany(included);
  return included;
}
