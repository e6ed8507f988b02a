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

type Factor = 'knowledge' | 'possession' | 'inherence';

/** RFC 8176 §2: which kind of factor a method is. A method that is not here counts for nothing. */
const FACTORS: Readonly<Record<string, Factor>> = {
  pwd: 'knowledge',
  pin: 'knowledge',
  kba: 'knowledge',
  otp: 'possession',
  hwk: 'possession',
  swk: 'possession',
  sc: 'possession',
  sms: 'possession',
  tel: 'possession',
  face: 'inherence',
  fpt: 'inherence',
  iris: 'inherence',
  retina: 'inherence',
  vbm: 'inherence',
};

/** `mfa` itself, or methods of two kinds: two passwords are still one factor. */
function isMultiFactor(methods: readonly unknown[]): boolean {
  const kinds = methods.flatMap((method) =>
    typeof method === 'string' && Object.hasOwn(FACTORS, method) ? [FACTORS[method]] : [],
  );
  return methods.includes('mfa') || new Set(kinds).size > 1;
}

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
    mfa: isMultiFactor(amr),
    expiresAt,
  };
}
