/** Conditional create: criteria that no resource may meet yet, so that two who send the same create one (R4 §3.1.0.8.1). */
import { createHash } from 'node:crypto';
import type { DataKey } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { InteractionName } from './interactions.ts';
import { parseCriteria, type Search } from './search-parse.ts';
import { candidatesStatement } from './search-sql.ts';
import type { Session, Statement } from './session.ts';
import type { StoredAddress } from './types.ts';

export interface Criteria {
  readonly search: Search;
  /** Equal for equal criteria, in whatever order they stand. */
  readonly key: string;
}

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
function readCriteria(type: string, text: string): Criteria {
  const pairs = [...new URLSearchParams(text)];
  const sorted = pairs.map((pair) => JSON.stringify(pair)).toSorted();
  return { search: parseCriteria(type, pairs), key: JSON.stringify([type, ...sorted]) };
}

/** What only a create may be sent with. @throws KeywardError `FHIR_INTERACTION_UNSUPPORTED`, or as above */
export function criteriaOf(name: InteractionName, type: string, text: string | undefined): Criteria | undefined {
  if (text === undefined) return undefined;
  if (name !== 'create') throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED');
  return readCriteria(type, text);
}

/** First number of the advisory locks, so that nobody else's have the same. */
const LOCK_SPACE = 0x6b77;
/** Criteria share locks: PostgreSQL has room for some thousands, and a transaction may bring as many. */
const LOCK_COUNT = 256;
/** Searches in one statement: with the most values each, they stay below the 65,535 parameters PostgreSQL takes. */
const SEARCHES_PER_STATEMENT = 100;

interface Candidate {
  readonly n: number;
  readonly id: string;
  readonly version: number;
  readonly last_updated: Date;
}

/**
 * Within a transaction: what meets each of the criteria already. Until the transaction ends, nobody else decides by the same.
 *
 * @throws KeywardError `FHIR_MULTIPLE_MATCHES`
 */
export async function findExisting(
  criteria: readonly Criteria[],
  session: Session,
  indexKey: DataKey,
): Promise<(StoredAddress | undefined)[]> {
  if (criteria.length === 0) return [];
  // A statement of its own: what others committed while it waited is seen by those that follow.
  await session.query(lockStatement(criteria));
  const found: Candidate[] = [];
  const numbered = criteria.map(({ search }, n): [number, Search] => [n, search]);
  for (let start = 0; start < numbered.length; start += SEARCHES_PER_STATEMENT) {
    const some = numbered.slice(start, start + SEARCHES_PER_STATEMENT);
    found.push(...(await session.query<Candidate>(candidatesStatement(some, indexKey))));
  }
  const byNumber = Map.groupBy(found, ({ n }) => n);
  return criteria.map(({ search }, n) => onlyOne(search.type, byNumber.get(n) ?? []));
}

/** In one order for everybody, so that nobody waits in a circle. */
function lockStatement(criteria: readonly Criteria[]): Statement {
  const locks = new Set(
    criteria.map(({ key }) => createHash('sha256').update(key).digest().readUInt32BE() % LOCK_COUNT),
  );
  return {
    name: 'store-criteria-lock',
    text: 'SELECT pg_advisory_xact_lock($1::integer, lock) FROM unnest($2::integer[]) AS l (lock)',
    values: [LOCK_SPACE, [...locks].toSorted((left, right) => left - right)],
  };
}

function onlyOne(type: string, [first, second]: readonly Candidate[]): StoredAddress | undefined {
  if (second) throw new KeywardError('FHIR_MULTIPLE_MATCHES');
  return first && { type, id: first.id, version: first.version, lastUpdated: first.last_updated };
}
