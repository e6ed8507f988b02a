/** One statement on the key database; a lost connection becomes DB_UNAVAILABLE. */
import type { QueryResult, QueryResultRow } from 'pg';
import { mapDbError } from '../db/index.ts';

/** A pool, or one connection of it in the middle of a transaction. */
export interface Queryable {
  query<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<QueryResult<Row>>;
}

export async function query<Row extends QueryResultRow>(
  on: Queryable,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  try {
    return (await on.query<Row>(text, [...values])).rows;
  } catch (error) {
    throw mapDbError(error);
  }
}
