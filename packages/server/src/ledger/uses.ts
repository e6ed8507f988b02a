/** Who used keys lately: entries that name them in their clear headers, counted by process, purpose and operation (K7). */
import type { AuditEvent } from '../core/index.ts';
import { withClient } from '../db/index.ts';
import { type LedgerEntry, type LedgerReaderInputs, openRows, type Row } from './read.ts';

/** Uses of one kind: by one process, for one purpose. */
export interface UseGroup {
  readonly process: string;
  readonly purpose: string;
  readonly interaction: string;
  readonly decision: string;
  readonly count: number;
  /** People on whose behalf, as far as the process told. */
  readonly people: number;
  readonly first: Date;
  readonly last: Date;
}

export interface KeyUses {
  readonly uses: readonly UseGroup[];
  /** Entries that name the key, and are not intact or cannot be opened. */
  readonly unreadable: number;
}

const PAGE_ENTRIES = 1000;

/** `at` has a BRIN index, so that only the days asked for are read. */
const SELECT = `
  SELECT position, id, at, class, tenant, actor, subjects, key_ids, correlation, body, leaf_hash
  FROM ledger_entries WHERE at >= $1 AND key_ids && $2::bytea[] AND position > $3 ORDER BY position LIMIT ${PAGE_ENTRIES}`;

interface Tally {
  readonly group: Omit<UseGroup, 'count' | 'people' | 'first' | 'last'>;
  readonly people: Set<string>;
  count: number;
  first: Date;
  last: Date;
}

export async function usesOfKeys(inputs: LedgerReaderInputs, keyIds: readonly string[], since: Date): Promise<KeyUses> {
  const ids = keyIds.map((id) => Buffer.from(id, 'hex'));
  const tallies = new Map<string, Tally>();
  let unreadable = 0;
  for (let after = 0n, more = true; more; ) {
    const values = [since, ids, after];
    const { rows } = await withClient(inputs.pool, (client) => client.query<Row>(SELECT, values));
    for (const entry of await openRows(rows, inputs)) unreadable += count(tallies, entry);
    more = rows.length === PAGE_ENTRIES;
    after = BigInt(rows.at(-1)?.position ?? 0);
  }
  const uses = [...tallies.values()].map(({ group, people, ...rest }) => ({ ...group, ...rest, people: people.size }));
  return { uses: uses.sort((one, other) => other.count - one.count), unreadable };
}

/** Answers 1 for an entry that could not be counted. */
function count(tallies: Map<string, Tally>, { event, at }: LedgerEntry): 0 | 1 {
  if (event === undefined) return 1;
  const { actor, purpose = '-', interaction, decision } = event;
  const process = actor.client ?? actor.sub;
  const name = JSON.stringify([process, purpose, interaction, decision]);
  const tally = tallies.get(name) ?? {
    group: { process, purpose, interaction, decision },
    people: new Set<string>(),
    count: 0,
    first: at,
    last: at,
  };
  tallies.set(name, tally);
  tally.count += 1;
  if (at > tally.last) tally.last = at;
  if (at < tally.first) tally.first = at;
  if (isPerson(actor)) tally.people.add(JSON.stringify([actor.issuer, actor.sub]));
  return 0;
}

/** A process that asks on its own behalf names itself twice. */
const isPerson = ({ sub, client }: AuditEvent['actor']): boolean => client !== undefined && client !== sub;
