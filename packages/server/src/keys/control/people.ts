/** Who may do what with keys: rows of the database, and the tokens of the people they name. */
import type { Pool, PoolClient } from 'pg';
import { type Clock, type ErrorCode, KeywardError, type Log } from '../../core/index.ts';
import { withTransaction } from '../../db/index.ts';
import { nameOfPerson, type Operator, type OperatorRole, type Person } from '../operators.ts';
import { query } from '../query.ts';
import { judgeRoles, requireGrantable, requireOperatorToken } from './duties.ts';

/** What a verified token says of its bearer. */
export interface VerifiedToken extends Person {
  /** Role of the access policy. */
  readonly role: string;
  /** Whether a second factor was used. */
  readonly mfa: boolean;
}

/** Verifies a bearer token by itself: what another process says of it does not count. @throws KeywardError `IDENTITY_…` */
export type VerifyToken = (authorization: string | undefined) => Promise<VerifiedToken>;

/** A person and the roles that count now. */
export interface Identified extends Operator {
  /** Roles that were given and do not count, since one person must not hold them together. */
  readonly conflicting: readonly OperatorRole[];
}

export interface RoleRow extends Person {
  readonly role: string;
  readonly grantedBy: string;
  readonly grantedAt: Date;
}

/** Who is an operator before anybody was granted a role. */
export type FirstOperators = readonly (Person & { readonly roles: readonly OperatorRole[] })[];

export interface People {
  /** @throws KeywardError `IDENTITY_…` | `KEYS_ROLE_REFUSED` */
  identify(authorization: string | undefined): Promise<Identified>;
  /** The roles of a person as they count now. */
  rolesOf(person: Person): Promise<Identified>;
  list(): Promise<RoleRow[]>;
  grant(person: Person, role: OperatorRole, by: Person): Promise<void>;
  /** @throws KeywardError `KEYS_OPERATOR_UNKNOWN` | `KEYS_APPROVERS_TOO_FEW` */
  revoke(person: Person, role: OperatorRole, neededApprovers: number): Promise<void>;
  /** Gives the first operators their roles where nobody has any that counts. `record` is awaited before. */
  bootstrap(first: FirstOperators, record: (first: FirstOperators) => Promise<void>): Promise<void>;
}

const SELECT = 'SELECT issuer, sub, role, granted_by, granted_at FROM operator_role WHERE tenant = $1';
const ORDER = 'ORDER BY issuer, sub, role';
const INSERT = `
  INSERT INTO operator_role (tenant, issuer, sub, role, granted_by, granted_at)
  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`;
const DELETE = 'DELETE FROM operator_role WHERE tenant = $1 AND issuer = $2 AND sub = $3 AND role = $4';
/** One change of roles at a time: each is judged by what the others left. */
const LOCK = `SELECT pg_advisory_xact_lock(hashtextextended('keyward operator_role ' || $1, 0))`;

interface Row {
  readonly issuer: string;
  readonly sub: string;
  readonly role: string;
  readonly granted_by: string;
  readonly granted_at: Date;
}

const fromRow = ({ granted_by: grantedBy, granted_at: grantedAt, ...same }: Row): RoleRow => ({
  ...same,
  grantedBy,
  grantedAt,
});

export interface PeopleOptions {
  readonly pool: Pool;
  readonly tenant: string;
  readonly clock: Clock;
  readonly verifyToken: VerifyToken;
  /** Whose tokens can come now. Roles of people of other issuers count for nothing. */
  readonly issuers: readonly string[];
  readonly log: Log;
}

export function createPeople({ pool, tenant, clock, verifyToken, issuers, log }: PeopleOptions): People {
  const counts = ({ issuer }: Person): boolean => issuers.includes(issuer);
  const rolesOf = async ({ issuer, sub }: Person): Promise<Identified> => {
    const rows = await query<Row>(pool, `${SELECT} AND issuer = $2 AND sub = $3`, [tenant, issuer, sub]);
    const { usable, conflicting } = judgeRoles(rows.filter(counts).map(({ role }) => role));
    return { issuer, sub, roles: usable, conflicting };
  };
  const locked = <T>(work: (client: PoolClient, held: readonly RoleRow[]) => Promise<T>) =>
    withTransaction(pool, async (client) => {
      await client.query(LOCK, [tenant]);
      const { rows } = await client.query<Row>(`${SELECT} ${ORDER}`, [tenant]);
      return work(client, rows.map(fromRow));
    });
  const insert = (client: PoolClient, { issuer, sub }: Person, role: string, by: string) =>
    client.query(INSERT, [tenant, issuer, sub, role, by, clock.now()]);
  return {
    rolesOf,
    async identify(authorization) {
      const token = await verifyToken(authorization);
      if (!token.mfa) throw new KeywardError('IDENTITY_MFA_REQUIRED');
      requireOperatorToken(token);
      return rolesOf(token);
    },
    list: async () => (await query<Row>(pool, `${SELECT} ${ORDER}`, [tenant])).map(fromRow),
    grant: (person, role, by) =>
      locked(async (client, held) => {
        requireGrantable(person, rolesIn(held, person), [role]);
        await insert(client, person, role, nameOfPerson(by));
      }),
    revoke: (person, role, neededApprovers) =>
      locked(async (client, held) => {
        const left = held.filter((row) => !(isSame(row, person) && row.role === role));
        if (left.length === held.length) throw new KeywardError('KEYS_OPERATOR_UNKNOWN');
        if (role === 'approver' && approversIn(left.filter(counts)) < neededApprovers)
          throw new KeywardError('KEYS_APPROVERS_TOO_FEW');
        await client.query(DELETE, [tenant, person.issuer, person.sub, role]);
      }),
    bootstrap: (first, record) =>
      locked(async (client, held) => {
        const counting = held.filter(counts);
        if (counting.length < held.length)
          log.warn('roles of people whose issuer is not configured do not count', {
            count: held.length - counting.length,
          });
        const known = first.filter(counts);
        if (counting.length > 0 || known.length === 0) return;
        for (const person of known) requireGrantable(person, [], person.roles);
        await record(known);
        for (const person of known)
          for (const role of person.roles) await insert(client, person, role, 'configuration');
      }),
  };
}

export const isSame = (one: Person, other: Person): boolean => one.issuer === other.issuer && one.sub === other.sub;

const rolesIn = (rows: readonly RoleRow[], person: Person): string[] =>
  rows.filter((row) => isSame(row, person)).map(({ role }) => role);

/** People whose role as approver counts. */
function approversIn(rows: readonly RoleRow[]): number {
  const people = Map.groupBy(rows, nameOfPerson).values();
  return [...people].filter((held) => judgeRoles(held.map(({ role }) => role)).usable.includes('approver')).length;
}

/** @throws KeywardError `KEYS_DUTIES_CONFLICT` | `KEYS_ROLE_REFUSED` */
export function requireRole({ roles, conflicting }: Identified, anyOf: readonly OperatorRole[]): OperatorRole {
  const role = anyOf.find((each) => roles.includes(each));
  if (role !== undefined) return role;
  const code: ErrorCode = anyOf.some((each) => conflicting.includes(each))
    ? 'KEYS_DUTIES_CONFLICT'
    : 'KEYS_ROLE_REFUSED';
  throw new KeywardError(code, { detail: `It takes the role ${anyOf.join(' or ')}.` });
}
