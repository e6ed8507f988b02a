/** Roles of the development issuer's tokens, and what a token of each says unless told otherwise. */

export interface RoleDefaults {
  /** SMART v2. The access policy narrows it further by role. */
  readonly scope: string;
  /** HL7 v3 ActReason. */
  readonly purpose: string;
}

const ROLES = {
  clinician: { scope: 'user/*.cruds', purpose: 'TREAT' },
  billing: { scope: 'user/*.cruds', purpose: 'HPAYMT' },
  researcher: { scope: 'user/*.cruds', purpose: 'HRESCH' },
  partner: { scope: 'user/*.cruds', purpose: 'TREAT' },
  patient: { scope: 'patient/*.cruds', purpose: 'PATRQT' },
  auditor: { scope: 'user/*.cruds', purpose: 'HOPERAT' },
  admin: { scope: 'user/*.cruds', purpose: 'HOPERAT' },
} as const satisfies Record<string, RoleDefaults>;

export type Role = keyof typeof ROLES;

export const ROLE_NAMES = Object.keys(ROLES) as Role[];

/** Claims of a token of the role; `sub` says that nobody real stands behind it. */
export const claimsOf = (role: Role) => ({ role, sub: `dev-${role}`, ...ROLES[role] });
