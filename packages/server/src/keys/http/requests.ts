/** What the custodian's API accepts: everything else is refused. */
import { type KeySpec, type KeyUse, MAX_KEYS_PER_CALL, MAX_SEALS_PER_CALL } from '@keyward/sdk/client';
import type { KeyId } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';

/** Lower case, so that one patient has one name. */
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const keyId = z.string().regex(/^[0-9a-f]{32}$/);
const indexClass = z.string().regex(/^[A-Za-z][A-Za-z0-9:._-]{0,63}$/);

const spec = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('subject'), subject: uuid }),
  z.strictObject({ kind: z.literal('tenant') }),
  z.strictObject({ kind: z.literal('index'), indexClass }),
  z.strictObject({ kind: z.literal('store') }),
  z.strictObject({ kind: z.literal('cursor') }),
  z.strictObject({ kind: z.literal('ledger'), day: z.iso.date() }),
  z.strictObject({ kind: z.literal('pseudonym') }),
]) satisfies z.ZodType<KeySpec>;

/** Goes into the ledger as it is, so it is bounded here; the ledger takes correlation ids as UUIDs. */
const use = z.strictObject({
  tenant: z.string().regex(/^[a-z0-9-]{1,64}$/),
  subjects: z.array(uuid).max(MAX_KEYS_PER_CALL),
  purpose: z.string().regex(/^[A-Z][A-Z0-9_-]{0,31}$/),
  correlationId: uuid,
  actor: z.string().min(1).max(256).exactOptional(),
  issuer: z.string().min(1).max(2048).exactOptional(),
}) satisfies z.ZodType<KeyUse>;

const list = <Item extends z.ZodType>(item: Item) => z.array(item).min(1).max(MAX_KEYS_PER_CALL);

const seals = z.int().min(0).max(MAX_SEALS_PER_CALL);

const protectBody = z
  .strictObject({ specs: list(spec), use, seals: list(seals).exactOptional() })
  .refine(({ specs, seals: counts = specs }) => counts.length === specs.length);
const processBody = z.strictObject({ ids: list(keyId), use });

/** `seals` as many as there are specs; one with each where it is left out. */
interface ProtectBody {
  readonly specs: readonly KeySpec[];
  readonly use: KeyUse;
  readonly seals?: readonly number[];
}

export const readProtectBody = (body: unknown): ProtectBody => read(protectBody, body);
export const readProcessBody = (body: unknown): { ids: readonly KeyId[]; use: KeyUse } => read(processBody, body);

/** The detail names no member and no value: both came from the request. */
function read<Body>(schema: z.ZodType<Body>, body: unknown): Body {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new KeywardError('KEYS_REQUEST_INVALID', { cause: result.error });
}

/** For error answers: nothing else of a body that was not accepted is read. */
export function correlationIdOf(body: unknown): string | undefined {
  const result = z.object({ use: z.object({ correlationId: uuid }) }).safeParse(body);
  return result.success ? result.data.use.correlationId : undefined;
}
