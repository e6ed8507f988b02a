/** Requests under dual control as the database holds them: nothing in a row is believed before its digest was computed again. */
import type { ClientBase, Pool } from 'pg';
import { KeywardError } from '../../core/index.ts';
import type { Person } from '../operators.ts';
import { query } from '../query.ts';
import { requestDigest, type RequestTerms } from './request-terms.ts';

export type RequestState = 'pending' | 'executing' | 'executed' | 'failed' | 'cancelled';

export interface Approval extends Person {
  readonly publicKey: Buffer;
  readonly signature: Buffer;
  readonly at: Date;
}

export interface StoredRequest extends RequestTerms {
  readonly digest: Buffer;
  readonly createdAt: Date;
  readonly state: RequestState;
  readonly endedAt: Date | undefined;
  readonly result: unknown;
  readonly approvals: readonly Approval[];
}

interface Row {
  readonly id: string;
  readonly tenant: string;
  readonly act: string;
  readonly params: unknown;
  readonly digest: Buffer;
  readonly reason: string;
  readonly requester_issuer: string;
  readonly requester_sub: string;
  readonly needed: number;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly state: RequestState;
  readonly ended_at: Date | null;
  readonly result: unknown;
}

interface ApprovalRow extends Person {
  readonly request_id: string;
  readonly public_key: Buffer;
  readonly signature: Buffer;
  readonly at: Date;
}

const COLUMNS = `id, tenant, act, params, digest, reason, requester_issuer, requester_sub, needed, created_at, expires_at,
  state, ended_at, result`;
const SELECT = `SELECT ${COLUMNS} FROM control_request WHERE tenant = $1`;
const SELECT_ONE = `${SELECT} AND id = $2`;
const SELECT_OPEN = `${SELECT} AND state = 'executing' OR (tenant = $1 AND state = 'pending' AND expires_at > $2)
  ORDER BY created_at`;
const SELECT_NEWEST = `SELECT * FROM (${SELECT} ORDER BY created_at DESC LIMIT $2) AS newest ORDER BY created_at`;
const SELECT_EXECUTING = `${SELECT} AND state = 'executing' ORDER BY created_at`;
const SELECT_APPROVALS = `
  SELECT request_id, issuer, sub, public_key, signature, at FROM control_approval
  WHERE request_id = ANY ($1::uuid[]) ORDER BY at`;
const INSERT = `
  INSERT INTO control_request (id, tenant, act, params, digest, reason, requester_issuer, requester_sub, needed,
    created_at, expires_at, state)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending')`;
const INSERT_APPROVAL = `
  INSERT INTO control_approval (request_id, issuer, sub, public_key, signature, at) VALUES ($1, $2, $3, $4, $5, $6)`;
/** Only from the state it was in: what has ended stays as it ended, and its digest is kept in the same transaction. */
const UPDATE_STATE = `
  WITH moved AS (
    UPDATE control_request SET state = $3, ended_at = $4, result = $5 WHERE id = $1 AND state = $2 RETURNING tenant
  )
  INSERT INTO control_ended (digest, tenant, at) SELECT $6, tenant, $4 FROM moved WHERE $4::timestamptz IS NOT NULL
  ON CONFLICT DO NOTHING`;
const SELECT_ENDED = 'SELECT FROM control_ended WHERE tenant = $1 AND digest = $2';
const COUNT_OPEN = `
  SELECT count(*)::integer AS open FROM control_request
  WHERE tenant = $1 AND requester_issuer = $2 AND requester_sub = $3 AND state = 'pending' AND expires_at > $4`;

/** Most requests in one list of those that have ended. */
const LIST_MAX = 100;

export interface Requests {
  insert(terms: RequestTerms, createdAt: Date): Promise<void>;
  /** @throws KeywardError `KEYS_REQUEST_UNKNOWN` */
  find(id: string): Promise<StoredRequest>;
  open(now: Date): Promise<StoredRequest[]>;
  /** The newest, ended or not. */
  newest(): Promise<StoredRequest[]>;
  executing(): Promise<StoredRequest[]>;
  /** The same with its row locked. */
  lock(client: ClientBase, id: string): Promise<StoredRequest>;
  addApproval(client: ClientBase, id: string, approval: Approval): Promise<void>;
  move(client: ClientBase, request: StoredRequest, from: RequestState, to: Move): Promise<void>;
  /** Whether a request with these terms has ended, whatever its row says now. */
  hasEnded(request: StoredRequest): Promise<boolean>;
  /** How many requests of this person wait for approvals. */
  openOf(person: Person, now: Date): Promise<number>;
}

export interface Move {
  readonly state: RequestState;
  readonly endedAt?: Date;
  readonly result?: unknown;
}

export function createRequests(pool: Pool, tenant: string): Requests {
  const read = async (on: Pool | ClientBase, text: string, ...values: unknown[]): Promise<StoredRequest[]> => {
    const { rows } = await on.query<Row>(text, [tenant, ...values]);
    const { rows: approvals } = await on.query<ApprovalRow>(SELECT_APPROVALS, [rows.map(({ id }) => id)]);
    return rows.map((row) => fromRow(row, approvals));
  };
  const one = ([found]: StoredRequest[]): StoredRequest => {
    if (!found) throw new KeywardError('KEYS_REQUEST_UNKNOWN');
    return found;
  };
  return {
    async insert(terms, createdAt) {
      const { id, act, params, reason, requester, needed, expiresAt } = terms;
      const asked = [id, tenant, act, JSON.stringify(params), requestDigest(terms), reason];
      await query(pool, INSERT, [...asked, requester.issuer, requester.sub, needed, createdAt, expiresAt]);
    },
    find: async (id) => one(await read(pool, SELECT_ONE, id)),
    open: (now) => read(pool, SELECT_OPEN, now),
    newest: () => read(pool, SELECT_NEWEST, LIST_MAX),
    executing: () => read(pool, SELECT_EXECUTING),
    lock: async (client, id) => one(await read(client, `${SELECT_ONE} FOR UPDATE`, id)),
    async addApproval(client, id, { issuer, sub, publicKey, signature, at }) {
      await client.query(INSERT_APPROVAL, [id, issuer, sub, publicKey, signature, at]);
    },
    async move(client, request, from, { state, endedAt, result }) {
      const text = result === undefined ? null : JSON.stringify(result);
      await client.query(UPDATE_STATE, [request.id, from, state, endedAt ?? null, text, requestDigest(request)]);
    },
    hasEnded: async (request) => (await query(pool, SELECT_ENDED, [tenant, requestDigest(request)])).length > 0,
    async openOf({ issuer, sub }, now) {
      const [row] = await query<{ open: number }>(pool, COUNT_OPEN, [tenant, issuer, sub, now]);
      return row?.open ?? 0;
    },
  };
}

const fromRow = (row: Row, approvals: readonly ApprovalRow[]): StoredRequest => ({
  id: row.id,
  tenant: row.tenant,
  act: row.act,
  params: row.params,
  digest: row.digest,
  reason: row.reason,
  requester: { issuer: row.requester_issuer, sub: row.requester_sub },
  needed: row.needed,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  state: row.state,
  endedAt: row.ended_at ?? undefined,
  result: row.result ?? undefined,
  approvals: approvals
    .filter(({ request_id: of }) => of === row.id)
    .map(({ issuer, sub, public_key: publicKey, signature, at }) => ({ issuer, sub, publicKey, signature, at })),
});

export const isIntact = (request: StoredRequest): boolean => requestDigest(request).equals(request.digest);
