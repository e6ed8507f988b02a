/** The public keys that approvals are verified with: Ed25519, one of each approver, and each of one person only. */
import type { Pool } from 'pg';
import { DatabaseError } from 'pg';
import { type Clock, KeywardError } from '../../core/index.ts';
import type { Person } from '../operators.ts';
import { query } from '../query.ts';

export interface ApproverKeys {
  /** 32 bytes; undefined for whoever enrolled none. */
  of(person: Person): Promise<Buffer | undefined>;
  /** @throws KeywardError `KEYS_ENROLMENT_REFUSED` when the person has one already, or another person has this one. */
  enrol(person: Person, publicKey: Buffer): Promise<void>;
  /** In place of the one before. Approvals that were signed with that one count no longer. */
  replace(person: Person, publicKey: Buffer): Promise<void>;
}

const SELECT = 'SELECT public_key FROM approver_key WHERE tenant = $1 AND issuer = $2 AND sub = $3';
const INSERT = 'INSERT INTO approver_key (tenant, issuer, sub, public_key, enrolled_at) VALUES ($1, $2, $3, $4, $5)';
const REPLACE = `${INSERT} ON CONFLICT (tenant, issuer, sub) DO UPDATE SET public_key = $4, enrolled_at = $5`;

/** PostgreSQL's appendix A: unique_violation. */
const TAKEN = '23505';

export function createApproverKeys(pool: Pool, tenant: string, clock: Clock): ApproverKeys {
  const write = async (text: string, { issuer, sub }: Person, publicKey: Buffer) => {
    try {
      await query(pool, text, [tenant, issuer, sub, publicKey, clock.now()]);
    } catch (cause) {
      if (cause instanceof DatabaseError && cause.code === TAKEN)
        throw new KeywardError('KEYS_ENROLMENT_REFUSED', { cause });
      throw cause;
    }
  };
  return {
    async of({ issuer, sub }) {
      const [row] = await query<{ public_key: Buffer }>(pool, SELECT, [tenant, issuer, sub]);
      return row?.public_key;
    },
    enrol: (person, publicKey) => write(INSERT, person, publicKey),
    replace: (person, publicKey) => write(REPLACE, person, publicKey),
  };
}
