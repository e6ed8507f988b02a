/** The custodian's signature over an order of destruction: a row that somebody else wrote or changed is not carried out. */
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { signUnder, type Signer, statementSignature, verifyUnder } from './certificate.ts';
import type { Destruction, OrderSignature } from './destructions.ts';
import type { SigningKeys } from './signing-keys.ts';

const LABEL = 'keyward/destruction-order/1\n';

type OrderTerms = Pick<
  Destruction,
  'id' | 'target' | 'reason' | 'orderedBy' | 'orderedAt' | 'correlationId' | 'approvals'
>;

const statementOf = (tenant: string, terms: OrderTerms, dueAt: string) => ({
  tenant,
  destruction: terms.id,
  target: terms.target,
  reason: terms.reason,
  orderedBy: terms.orderedBy,
  orderedAt: terms.orderedAt.toISOString(),
  dueAt,
  correlationId: terms.correlationId,
  approvals: terms.approvals,
});

export function signOrder(
  tenant: string,
  terms: OrderTerms & { readonly dueAt: Date },
  signer: Signer,
): OrderSignature {
  const dueAt = terms.dueAt.toISOString();
  return { ...signUnder(LABEL, statementOf(tenant, terms, dueAt), signer), dueAt };
}

const orderSignature = z.strictObject({ ...statementSignature.shape, dueAt: z.iso.datetime() });

/** @throws KeywardError `KEYS_NOT_AUTHENTIC`, or `KEYS_STATE_REFUSED` when the signing key cannot speak any more */
export async function requireGenuineOrder(
  signing: Pick<SigningKeys, 'publicKeyOf'>,
  tenant: string,
  order: OrderTerms & Pick<Destruction, 'signature' | 'dueAt'>,
): Promise<void> {
  const { data } = orderSignature.safeParse(order.signature);
  if (!data || order.dueAt < new Date(data.dueAt)) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  const { dueAt, ...signature } = data;
  const publicKey = await signing.publicKeyOf(signature.keyId);
  if (!verifyUnder(LABEL, statementOf(tenant, order, dueAt), signature, publicKey))
    throw new KeywardError('KEYS_NOT_AUTHENTIC');
}

/** Equal for rows about which the same was verified. */
export const orderBasis = (order: OrderTerms & Pick<Destruction, 'signature' | 'dueAt'>): string =>
  JSON.stringify([statementOf('', order, order.dueAt.toISOString()), order.signature]);
