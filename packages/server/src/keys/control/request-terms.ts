/** What approvals sign: the terms of a request as bytes that mean this one request and no other. */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { KeywardError } from '../../core/index.ts';
import type { Person } from '../operators.ts';
import { lengthPrefixed } from '../wrapping.ts';

export interface RequestTerms {
  readonly tenant: string;
  readonly id: string;
  readonly act: string;
  readonly params: unknown;
  readonly requester: Person;
  readonly reason: string;
  /** Approvals it takes. */
  readonly needed: number;
  readonly expiresAt: Date;
}

const REQUEST_LABEL = 'keyward/control-request/1';
const APPROVAL_LABEL = 'keyward/control-approval/1';
const ENROLMENT_LABEL = 'keyward/approver-key/1';

/** SHA-256 over every term, each with its length before it. */
export function requestDigest(terms: RequestTerms): Buffer {
  const { tenant, id, act, params, requester, reason, needed, expiresAt } = terms;
  const parts = [tenant, id, act, canonicalJson(params), requester.issuer, requester.sub, reason];
  const bytes = lengthPrefixed([REQUEST_LABEL, ...parts, String(needed), expiresAt.toISOString()]);
  return createHash('sha256').update(bytes).digest();
}

/** JSON with the members of every object in the order of their code units and nothing between (as RFC 8785 has it). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return scalar(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${scalar(name)}:${canonicalJson((value as Record<string, unknown>)[name])}`).join(',')}}`;
}

function scalar(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined || (typeof value === 'number' && !Number.isFinite(value)))
    throw new KeywardError('CORE_INTERNAL', { cause: new TypeError('not JSON') });
  return text;
}

const approvalMessage = (digest: Uint8Array): Buffer => Buffer.concat([Buffer.from(APPROVAL_LABEL), digest]);

/** @param key Ed25519, private */
export const signApproval = (key: KeyObject, digest: Uint8Array): Buffer => sign(null, approvalMessage(digest), key);

export const isApproval = (publicKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean =>
  isSigned(publicKey, approvalMessage(digest), signature);

/** Whose key it is to become: signed with it, so that nobody enrols a key he does not have. */
const enrolmentMessage = (tenant: string, { issuer, sub }: Person): Buffer =>
  lengthPrefixed([ENROLMENT_LABEL, tenant, issuer, sub]);

/** @param key Ed25519, private */
export const signEnrolment = (key: KeyObject, tenant: string, person: Person): Buffer =>
  sign(null, enrolmentMessage(tenant, person), key);

export const isEnrolment = (publicKey: Uint8Array, tenant: string, person: Person, signature: Uint8Array): boolean =>
  isSigned(publicKey, enrolmentMessage(tenant, person), signature);

/** Bytes that are no key or no signature verify nothing. */
function isSigned(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const x = Buffer.from(publicKey).toString('base64url');
    return verify(null, message, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }), signature);
  } catch {
    return false;
  }
}
