/** Who acts on keys: a person with a verified token, or the custodian itself on its schedule. */

/** Roles of people at the custodian. Using keys is for processes alone, so nobody here can open data. */
export const OPERATOR_ROLES = ['key-creator', 'key-rotator', 'key-destroyer', 'approver', 'auditor'] as const;
export type OperatorRole = (typeof OPERATOR_ROLES)[number];

/** One person within one issuer. */
export interface Person {
  readonly issuer: string;
  readonly sub: string;
}

export interface Operator extends Person {
  readonly roles: readonly OperatorRole[];
}

/** Acts of the schedule and of start-up. */
export const CUSTODIAN_ITSELF: Operator = { issuer: 'urn:keyward:custodian', sub: 'custodian', roles: [] };

/** Name of a person in rows and records; issuers are URIs, so no two people share one. */
export const nameOfPerson = ({ issuer, sub }: Person): string => `${issuer} ${sub}`;
