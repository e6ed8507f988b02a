/** For tests: somebody who may open some classes, and what a search of theirs becomes. */
import assert from 'node:assert/strict';
import { KeywardError } from '../../core/index.ts';
import { type Catalogue, createCatalogue, FIELD_CLASSES, type FieldClass } from '../../phi/index.ts';
import type { Decision } from '../policy.ts';
import { planSearch, type SearchPlan } from '../search.ts';

export const catalogue = createCatalogue();

export const decision = (open: readonly FieldClass[] = FIELD_CLASSES, patient?: string): Decision => ({
  rule: 'r',
  open: new Set(open),
  mask: new Set(),
  patient,
});

interface Asking {
  readonly type?: string;
  readonly inUrl?: boolean;
  readonly as?: Decision;
  /** About the types that links lead to; the same as of the searched type unless given. */
  readonly decide?: (type: string) => Decision;
  readonly rules?: Catalogue;
}

export function plan(
  query: string,
  { type = 'Patient', inUrl = false, as = decision(), decide = () => as, rules = catalogue }: Asking = {},
): SearchPlan {
  return planSearch(type, new URLSearchParams(query), inUrl, { catalogue: rules, decision: as, decide });
}

/** The code of the refusal, or `accepted`. */
export function refusal(query: string, asking: Asking = {}): string {
  try {
    plan(query, asking);
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof KeywardError);
    return error.code;
  }
}
