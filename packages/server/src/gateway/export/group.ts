/** The members of a Group, as far as they are patients of ours. */
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { type Exchange, known } from '../exchange.ts';
import { ID } from '../routes.ts';
import { ask } from '../ask.ts';

const groupShape = z.looseObject({
  resourceType: z.literal('Group'),
  id: z.string(),
  member: z
    .array(
      z.looseObject({
        entity: z.looseObject({ reference: z.string().optional() }),
        inactive: z.boolean().optional(),
      }),
    )
    .default([]),
});

const PATIENT = new RegExp(`^Patient/(${ID})(?:/_history/.*)?$`);

/** Logical ids of those who are in it now. @throws KeywardError `ACCESS_…` | `FHIR_NOT_FOUND` | `GATEWAY_UPSTREAM_INVALID` */
export async function groupMembers(exchange: Exchange, id: string): Promise<string[]> {
  const { patient } = exchange.gateway.policy.decide(known(exchange.principal, 'principal'), 'read', 'Group');
  if (patient !== undefined) throw new KeywardError('ACCESS_DENIED');
  const { body } = await ask(exchange, { method: 'GET', path: `/Group/${id}` });
  const parsed = groupShape.safeParse(body);
  if (!parsed.success || parsed.data.id !== id) throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  const active = parsed.data.member.filter(({ inactive }) => inactive !== true);
  return [...new Set(active.flatMap(({ entity }) => PATIENT.exec(entity.reference ?? '')?.[1] ?? []))];
}
