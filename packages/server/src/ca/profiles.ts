/** Certificate profiles: what each kind of certificate may do and for how long. */

const DAY_MS = 86_400_000;

/** Part of its life after which a certificate is renewed; the rest is time to notice when renewing fails. */
const RENEW_AFTER = 2 / 3;

/** A certificate is valid from a little before its issue, for clients whose clock is late. */
export const CLOCK_SKEW_MS = 5 * 60_000;

export const LIFETIME_MS = { authority: 5 * 365 * DAY_MS, leaf: 90 * DAY_MS } as const;

/** Who a certificate is for: a server under its hosts (DNS names and IP addresses), or one of our processes as a client. */
export type Leaf = { readonly hosts: readonly string[] } | { readonly uri: string; readonly processName: string };

export const AUTHORITY_NAME = 'Keyward development CA';

/** Names under which the embedded profile is reached. */
export const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '::1'];

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export function validityFrom(now: Date, lifetimeMs: number): Validity {
  return { notBefore: new Date(now.getTime() - CLOCK_SKEW_MS), notAfter: new Date(now.getTime() + lifetimeMs) };
}

/** Valid already, and not yet due for renewal. */
export function isFresh({ notBefore, notAfter }: Validity, now: Date): boolean {
  const renewAtMs = notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * RENEW_AFTER;
  return notBefore <= now && now.getTime() < renewAtMs;
}
