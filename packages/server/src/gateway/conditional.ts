/** Conditions: criteria in place of an id, in writes and in references; planned like a search, so that the upstream is asked blind. */
import { type ErrorCode, KeywardError } from '../core/index.ts';
import { isResourceType } from '../phi/index.ts';
import { type Exchange, known } from './exchange.ts';
import type { Decision } from './policy.ts';
import { planSearch, type SearchPlan } from './search.ts';
import { decideSearch } from './search/blind-query.ts';
import { parseParameters } from './steps/admit.ts';

export interface Condition {
  readonly type: string;
  readonly plan: SearchPlan;
  /** Of the search that a condition is. */
  readonly decision: Decision;
  /** What the upstream finds is what was meant, without a second look: it may enforce the condition itself. */
  readonly exact: boolean;
}

/** Parameters that ask about the resource itself; the others that begin so shape an answer, and a condition has none. */
const CRITERIA_WITH_UNDERSCORE: ReadonlySet<string> = new Set([
  '_id',
  '_lastUpdated',
  '_tag',
  '_profile',
  '_security',
  '_source',
  '_has',
]);

/** Where to put what may not stand in a URL. */
const WAY_OUT =
  'For a conditional create use the header If-None-Exist; for a conditional update or delete, an entry of a Bundle.';

/**
 * Whoever states a condition learns whether something fulfils it: it takes the permission to search, and to open what is asked for.
 * @param inUrl the criteria stand in the URL of the request, so none may identify anybody (P1)
 * @throws KeywardError `FHIR_CONDITION_EMPTY` | `FHIR_PHI_IN_URL` | `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` | `ACCESS_DENIED` | `ACCESS_SCOPE`
 */
export function planCondition(exchange: Exchange, type: string, criteria: URLSearchParams, inUrl: boolean): Condition {
  if (!isResourceType(type)) throw new KeywardError('FHIR_TYPE_UNKNOWN');
  const { gateway, principal } = exchange;
  const decision = gateway.policy.decide(known(principal, 'principal'), 'search', type);
  // A search narrowed to one patient would find nothing of the others, and a second record would be created beside theirs.
  if (decision.patient !== undefined) throw new KeywardError('ACCESS_DENIED');
  assertCriteria(criteria);
  const access = { decision, decide: decideSearch(exchange), catalogue: gateway.catalogue };
  const plan = withWayOut(() => planSearch(type, criteria, inUrl, access));
  return { type, plan, decision, exact: !plan.filters.some(({ narrows }) => narrows) };
}

function assertCriteria(criteria: URLSearchParams): void {
  const shaping = [...criteria.keys()].some(
    (name) => name.startsWith('_') && !CRITERIA_WITH_UNDERSCORE.has(name.split(':')[0] ?? ''),
  );
  if (shaping) throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'A condition takes search criteria only.' });
  if (criteria.size === 0) throw new KeywardError('FHIR_CONDITION_EMPTY');
}

function withWayOut<T>(plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (error instanceof KeywardError && error.code === 'FHIR_PHI_IN_URL')
      throw new KeywardError('FHIR_PHI_IN_URL', { detail: WAY_OUT });
    throw error;
  }
}

/**
 * The condition a single write states: in If-None-Exist for a create, in the parameters of the URL for an update or delete without an id.
 * @throws KeywardError as `planCondition`
 */
export function statedCondition(exchange: Exchange): Condition | undefined {
  const { route, incoming, query, inBatch } = exchange;
  if (route.name === 'create') {
    const header = incoming.headers['if-none-exist'];
    return header === undefined ? undefined : planCondition(exchange, route.type, headerCriteria(exchange), false);
  }
  if (route.id !== '') return undefined;
  const criteria = new URLSearchParams([...query].filter(([name]) => name !== '_format' && name !== '_pretty'));
  // The url of a batch entry travels in a body.
  return planCondition(exchange, route.type, criteria, !inBatch);
}

function headerCriteria({ incoming, inBatch }: Exchange): URLSearchParams {
  const text = String(incoming.headers['if-none-exist']);
  // Node reads header bytes as Latin-1: a name in UTF-8 would be searched for as another name, and not found.
  if (!inBatch && /[^\x20-\x7e]/.test(text))
    throw new KeywardError('FHIR_PARAM_INVALID', { detail: 'Percent-encode If-None-Exist.' });
  return criteriaOf(text);
}

/** What would follow the `?` of a search (FHIR R4 §3.1.0.8.1); some clients send the `?`, too. */
export const criteriaOf = (text: string): URLSearchParams => parseParameters(text.replace(/^\?/, ''));

/** Says which entry of a bundle failed; the position is all it tells of it. */
export async function atEntry<T>(position: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof KeywardError ? atPosition(position, error) : error;
  }
}

const atPosition = (position: number, { code, detail, cause }: KeywardError): KeywardError =>
  new KeywardError(code, { detail: `Entry ${position}${detail === undefined ? '.' : `: ${detail}`}`, cause });

export const invalidEntry = (position: number, why: string, code: ErrorCode = 'FHIR_BUNDLE_INVALID'): KeywardError =>
  new KeywardError(code, { detail: `Entry ${position}: ${why}` });
