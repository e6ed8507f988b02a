/** Who calls, as the signed token says. */

export interface Principal {
  readonly sub: string;
  readonly role: string;
  /** SMART scopes of the token, as written. */
  readonly scopes: readonly string[];
  /** Logical id of the patient in context (SMART launch), when the token names one. */
  readonly patient: string | undefined;
  /** HL7 v3 ActReason from the signed claim. */
  readonly purpose: string | undefined;
  readonly client: string | undefined;
  readonly issuer: string;
  /** Whether the token says that a second factor was used (`amr`, RFC 8176). */
  readonly mfa: boolean;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** RFC 8176 values that mean more than one factor. */
const MULTI_FACTOR = new Set(['mfa', 'hwk', 'fpt', 'face', 'iris']);

/** Reads verified claims; undefined when one that everybody needs is missing. */
export function principalFrom(
  claims: Readonly<Record<string, unknown>>,
  names: { readonly roleClaim: string; readonly purposeClaim: string },
): Principal | undefined {
  const sub = text(claims['sub']);
  const role = text(claims[names.roleClaim]);
  const issuer = text(claims['iss']);
  const expiresAt = claims['exp'];
  if (!sub || !role || !issuer || typeof expiresAt !== 'number') return undefined;
  const amr = Array.isArray(claims['amr']) ? claims['amr'] : [];
  return {
    sub,
    role,
    scopes: (text(claims['scope']) ?? '').split(' ').filter(Boolean),
    patient: text(claims['patient']),
    purpose: text(claims[names.purposeClaim]),
    client: text(claims['client_id']) ?? text(claims['azp']),
    issuer,
    mfa: amr.some((method) => MULTI_FACTOR.has(method as string)),
    expiresAt,
  };
}
