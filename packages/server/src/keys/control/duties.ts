/** Separation of duties: which roles one person may hold together (K4). */
import { KeywardError } from '../../core/index.ts';
import { OPERATOR_ROLES, type OperatorRole, type Person } from '../operators.ts';

/** Whoever audits does nothing else here. An approver may manage keys too, since nobody approves what he asked for himself. */
const CONFLICTS: readonly (readonly [OperatorRole, OperatorRole])[] = [
  ['auditor', 'key-creator'],
  ['auditor', 'key-rotator'],
  ['auditor', 'key-destroyer'],
  ['auditor', 'approver'],
];

/** Roles of the access policy that operators' tokens have. Every other role may open data, and so must not manage keys. */
const TOKEN_ROLES: readonly string[] = ['admin', 'auditor'];

/** Processes use keys: a token in the name of one manages none. */
const PROCESSES: readonly string[] = ['custodian', 'gateway', 'store', 'admin'];

export interface Judgement {
  /** What counts. */
  readonly usable: readonly OperatorRole[];
  /** What was given and cannot stand together: none of it counts. */
  readonly conflicting: readonly OperatorRole[];
}

/** Of roles as rows of the database name them. A name that is no role counts for nothing. */
export function judgeRoles(held: readonly string[]): Judgement {
  const roles = OPERATOR_ROLES.filter((role) => held.includes(role));
  const conflicting = new Set(CONFLICTS.filter((pair) => pair.every((role) => roles.includes(role))).flat());
  return {
    usable: roles.filter((role) => !conflicting.has(role)),
    conflicting: roles.filter((role) => conflicting.has(role)),
  };
}

/** @throws KeywardError `KEYS_DUTIES_CONFLICT` */
export function requireGrantable({ sub }: Person, held: readonly string[], wanted: readonly OperatorRole[]): void {
  const { conflicting } = judgeRoles([...held, ...wanted]);
  if (conflicting.length > 0)
    throw new KeywardError('KEYS_DUTIES_CONFLICT', { detail: `Not together: ${conflicting.join(', ')}.` });
  if (PROCESSES.includes(sub))
    throw new KeywardError('KEYS_DUTIES_CONFLICT', {
      detail: 'That is the name of a process, and processes use keys.',
    });
}

/** @throws KeywardError `KEYS_ROLE_REFUSED` where the holder of a token works with data, or is a process. */
export function requireOperatorToken({ role, sub }: { readonly role: string; readonly sub: string }): void {
  if (TOKEN_ROLES.includes(role) && !PROCESSES.includes(sub)) return;
  throw new KeywardError('KEYS_ROLE_REFUSED', {
    detail: `Keys are managed with tokens of people whose role is ${TOKEN_ROLES.join(' or ')}.`,
  });
}
