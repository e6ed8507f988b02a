/** The table of jobs: long work on keys in steps, each committed with how far it is, so that whoever comes next goes on there. */
import type { ClientBase, Pool, PoolClient } from 'pg';
import { z } from 'zod';
import { type ErrorCode, newUuid } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import { nameOfPerson } from '../operators.ts';
import { query } from '../query.ts';

export const JOB_KINDS = ['rotate-kek', 'rewrap', 'move-root'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

const originSchema = z.strictObject({
  by: z.strictObject({ issuer: z.string(), sub: z.string() }),
  reason: z.string(),
  correlationId: z.string(),
});

/** Who wanted it and why; stands in every entry that the job makes in the ledger. */
export type Origin = z.infer<typeof originSchema>;

export interface Job {
  readonly id: string;
  readonly kind: JobKind;
  readonly origin: Origin;
  readonly state: 'running' | 'done' | 'failed';
  /** Where it goes on; its meaning is the kind's own. Empty at the beginning. */
  readonly cursor: string;
  readonly done: number;
  readonly total: number | null;
  readonly updatedAt: Date;
}

/** What one step came to. */
export interface Progress {
  readonly cursor: string;
  readonly done: number;
  readonly total?: number;
  /** It was the last step. A code tells that something was left over. */
  readonly ended?: { readonly code?: ErrorCode };
}

interface JobRow {
  readonly id: string;
  readonly kind: JobKind;
  readonly params: unknown;
  readonly state: Job['state'];
  readonly cursor: string;
  readonly done: string;
  readonly total: string | null;
  readonly error_code: string | null;
  readonly started_by: string;
  readonly started_at: Date;
  readonly updated_at: Date;
}

const INSERT = `
  INSERT INTO key_job (id, tenant, kind, params, state, started_by, started_at, updated_at)
  VALUES ($1, $2, $3, $4, 'running', $5, $6, $6)
  ON CONFLICT (tenant, kind) WHERE state = 'running' DO NOTHING RETURNING id`;

/** Undefined when one of its kind runs already. */
export async function insertJob(
  client: Pool | ClientBase,
  tenant: string,
  kind: JobKind,
  { by, reason, correlationId }: Origin,
  at: Date,
): Promise<string | undefined> {
  const origin: Origin = { by: { issuer: by.issuer, sub: by.sub }, reason, correlationId };
  const values = [newUuid(), tenant, kind, JSON.stringify(origin), nameOfPerson(by), at];
  const { rows } = await client.query<{ id: string }>(INSERT, values);
  return rows[0]?.id;
}

export async function runningJobs(pool: Pool, tenant: string): Promise<Job[]> {
  const text = "SELECT * FROM key_job WHERE tenant = $1 AND state = 'running'";
  return (await query<JobRow>(pool, text, [tenant])).map(fromRow);
}

const fromRow = (row: JobRow): Job => ({
  id: row.id,
  kind: row.kind,
  origin: originSchema.parse(row.params),
  state: row.state,
  cursor: row.cursor,
  done: Number(row.done),
  total: row.total === null ? null : Number(row.total),
  updatedAt: row.updated_at,
});

/** Whoever goes on from another place than the row has was overtaken by another custodian, and changes nothing. */
const UPDATE = `
  UPDATE key_job SET cursor = $5, done = $6, total = coalesce($7, total), state = $8, error_code = $9, updated_at = $10
  WHERE tenant = $1 AND id = $2 AND state = 'running' AND cursor = $3 AND done = $4`;

/** Another custodian has taken the job over. */
export class JobLost extends Error {}

/** One step: what `work` changes and how far the job is, together or not at all. @throws JobLost */
export async function commitStep(
  pool: Pool,
  tenant: string,
  job: Job,
  now: Date,
  work: (client: PoolClient) => Promise<Progress>,
): Promise<Job> {
  return withTransaction(pool, async (client) => {
    const { cursor, done, total = null, ended } = await work(client);
    const state = ended === undefined ? 'running' : 'done';
    const values = [tenant, job.id, job.cursor, job.done, cursor, done, total, state, ended?.code ?? null, now];
    const { rowCount } = await client.query(UPDATE, values);
    if (rowCount !== 1) throw new JobLost();
    return { ...job, cursor, done, total: total ?? job.total, state, updatedAt: now };
  });
}

const FAIL = `
  UPDATE key_job SET state = 'failed', error_code = $3, updated_at = $4
  WHERE tenant = $1 AND id = $2 AND state = 'running'`;

export async function failJob(pool: Pool, tenant: string, id: string, code: ErrorCode, now: Date): Promise<void> {
  await query(pool, FAIL, [tenant, id, code, now]);
}

/** A job as operators see it. */
export interface JobReport {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: Job['state'];
  readonly done: number;
  readonly total: number | null;
  /** Why it failed, or that it left something over. */
  readonly code: string | null;
  readonly startedBy: string;
  readonly startedAt: Date;
  readonly updatedAt: Date;
}

/** Newest first. */
export async function listJobs(pool: Pool, tenant: string, most: number): Promise<JobReport[]> {
  const text = 'SELECT * FROM key_job WHERE tenant = $1 ORDER BY started_at DESC, id LIMIT $2';
  const rows = await query<JobRow>(pool, text, [tenant, most]);
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    state: row.state,
    done: Number(row.done),
    total: row.total === null ? null : Number(row.total),
    code: row.error_code,
    startedBy: row.started_by,
    startedAt: row.started_at,
    updatedAt: row.updated_at,
  }));
}
