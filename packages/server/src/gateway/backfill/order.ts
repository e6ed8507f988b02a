/** What a `$keyward-backfill` request orders: one page of one type, sealed, sealed anew (all of it, or what stands under ended keys), or unsealed. */
import type { Json } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { isResourceType } from '../../phi/index.ts';

export const BACKFILL_MODES = ['seal', 'reseal', 'rekey', 'unseal'] as const;
export type BackfillMode = (typeof BACKFILL_MODES)[number];

export interface BackfillOrder {
  readonly mode: BackfillMode;
  readonly type: string;
  /** Resources of the page. */
  readonly count: number;
  /** Page to go on with, from the last answer; undefined: the first. */
  readonly page: string | undefined;
  /** Only looks and counts. */
  readonly dryRun: boolean;
}

const MAX_COUNT = 500;

const parameters = z.strictObject({
  resourceType: z.literal('Parameters'),
  parameter: z.array(
    z.union([
      z.strictObject({ name: z.literal('mode'), valueCode: z.enum(BACKFILL_MODES) }),
      z.strictObject({ name: z.literal('type'), valueCode: z.string().refine(isResourceType) }),
      z.strictObject({ name: z.literal('count'), valueInteger: z.int().min(1).max(MAX_COUNT) }),
      z.strictObject({ name: z.literal('page'), valueString: z.string().min(1) }),
      z.strictObject({ name: z.literal('dryRun'), valueBoolean: z.boolean() }),
    ]),
  ),
});

/** @throws KeywardError `GATEWAY_BACKFILL_ORDER`. */
export function readOrder(body: Json | undefined): BackfillOrder {
  const parsed = parameters.safeParse(body);
  if (!parsed.success) throw new KeywardError('GATEWAY_BACKFILL_ORDER');
  const given = Object.fromEntries(
    parsed.data.parameter.map(({ name, ...value }) => [name, Object.values(value)[0]]),
  ) as Partial<BackfillOrder>;
  const { mode, type, count = MAX_COUNT, page, dryRun = false } = given;
  if (mode === undefined || type === undefined || Object.keys(given).length !== parsed.data.parameter.length)
    throw new KeywardError('GATEWAY_BACKFILL_ORDER');
  return { mode, type, count, page, dryRun };
}
