/** One statement on the key database; a lost connection becomes DB_UNAVAILABLE. */
import type { Pool, QueryResultRow } from 'pg';
import { mapDbError } from '../db/index.ts';

export async function query<Row extends QueryResultRow>(
  pool: Pool,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  try {
    return (await pool.query<Row>(text, [...values])).rows;
  } catch (error) {
    throw mapDbError(error);
  }
}
