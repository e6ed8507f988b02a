/** A statement of the custodian that anybody can verify without it: canonical JSON under an Ed25519 signature. */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../control/request-terms.ts';

/** No other signature of this key means a certificate. */
const LABEL = 'keyward/certificate/1\n';

const SIGNATURE_BYTES = 64;
const PUBLIC_KEY_BYTES = 32;

const destroyedKey = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  kind: z.string(),
  scope: z.string(),
  kekVersion: z.int().positive(),
});

/** Told to backups before they erase: these keys are destroyed. */
const tombstone = z.strictObject({
  type: z.literal('keyward/destroyed-keys/1'),
  destruction: z.uuid(),
  installation: z.uuid().nullable(),
  tenant: z.string(),
  target: z.string(),
  keys: z.array(destroyedKey),
  destroyedAt: z.iso.datetime(),
});

/** Said in the certificate itself: what erasing in a database does not reach, and what ends that. */
export const REMAINS =
  'Copies of a wrapped key may remain in the write-ahead log until its segments are recycled, in pages of the key database until they are overwritten, and in copies of its files. A wrapped data key opens only with its KEK of that time: rotating that KEK and destroying it ends this. A wrapped KEK opens only with its root key.';

const destructionCertificate = z.strictObject({
  ...tombstone.shape,
  type: z.literal('keyward/destruction-certificate/1'),
  method: z.literal('wrapped key erased'),
  remains: z.literal(REMAINS),
  reason: z.string(),
  orderedBy: z.string(),
  /** Digest of the request that was approved, in hex. */
  approvals: z.string().nullable(),
  orderedAt: z.iso.datetime(),
  dueAt: z.iso.datetime(),
  /** Attempts to use a key while it waited; each was refused. */
  attempts: z.int().nonnegative(),
  /** Ids of the ledger entries of order and destruction. */
  ledgerEntries: z.array(z.uuid()),
  backups: z.strictObject({
    /** With the SHA-256 of what the file is now. */
    rewritten: z.array(z.strictObject({ backup: z.string(), digest: z.string() })),
    /** Whoever keeps these has to destroy them. */
    notReached: z.array(z.strictObject({ backup: z.string(), why: z.string() })),
  }),
});

export type Tombstone = z.infer<typeof tombstone>;
export type DestructionCertificate = z.infer<typeof destructionCertificate>;

export const statementSignature = z.strictObject({
  algorithm: z.literal('Ed25519'),
  /** Id of the signing key; its public key is published under it. */
  keyId: z.string().regex(/^[0-9a-f]{32}$/),
  value: z.string(),
});
export type StatementSignature = z.infer<typeof statementSignature>;

const signedStatement = z.strictObject({
  statement: z.discriminatedUnion('type', [tombstone, destructionCertificate]),
  signature: statementSignature,
});

export interface Signed<Statement> {
  readonly statement: Statement;
  readonly signature: StatementSignature;
}

export interface Signer {
  readonly keyId: string;
  /** Ed25519, private. */
  readonly key: KeyObject;
}

const messageOf = (label: string, statement: unknown): Buffer => Buffer.from(label + canonicalJson(statement));

/** What is signed is the label, which ends with a line feed and belongs to one use, and the canonical form. */
export function signUnder(label: string, statement: unknown, { keyId, key }: Signer): StatementSignature {
  return { algorithm: 'Ed25519', keyId, value: sign(null, messageOf(label, statement), key).toString('base64url') };
}

export function verifyUnder(
  label: string,
  statement: unknown,
  { value }: StatementSignature,
  publicKey: Uint8Array,
): boolean {
  const signature = Buffer.from(value, 'base64url');
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  if (signature.toString('base64url') !== value) return false;
  return verify(null, messageOf(label, statement), publicKeyOf(publicKey), signature);
}

export function signStatement<Statement extends Tombstone | DestructionCertificate>(
  statement: Statement,
  signer: Signer,
): Signed<Statement> {
  return { statement, signature: signUnder(LABEL, statement, signer) };
}

/**
 * Needs nothing but the certificate and the public key (32 bytes) that the custodian publishes. What has members too many or
 * too few, or a signature in another spelling, is none.
 */
export function verifyCertificate(certificate: unknown, publicKey: Uint8Array): boolean {
  const { data } = signedStatement.safeParse(certificate);
  return data !== undefined && verifyUnder(LABEL, data.statement, data.signature, publicKey);
}

function publicKeyOf(bytes: Uint8Array): KeyObject {
  const x = Buffer.from(bytes).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}
