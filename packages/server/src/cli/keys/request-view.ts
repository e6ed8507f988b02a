/** A request for approval: what exactly is asked for, in a form that people read, and the digest of that. */
import type { Json } from '@keyward/sdk/seal';
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { canonicalJson, requestDigest } from '../../keys/index.ts';
import { oneLine } from '../failure.ts';

const person = z.object({ issuer: z.string(), sub: z.string() });

export const requestView = z.object({
  tenant: z.string(),
  id: z.uuid(),
  act: z.string(),
  params: z.custom<Json>((value) => value !== undefined),
  requester: person,
  reason: z.string(),
  needed: z.int(),
  expiresAt: z.iso.datetime(),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.iso.datetime(),
  state: z.string(),
  approvals: z.array(person.extend({ at: z.iso.datetime() })),
  endedAt: z.iso.datetime().optional(),
  result: z.custom<Json>().optional(),
});
export type RequestView = z.infer<typeof requestView>;

/** Of the terms as they are shown here. @throws KeywardError `CLI_REQUEST_DIFFERS` when that is not the digest it came with */
export function digestToSign(request: RequestView): Buffer {
  const digest = requestDigest({ ...request, expiresAt: new Date(request.expiresAt) });
  if (digest.toString('hex') !== request.digest) throw new KeywardError('CLI_REQUEST_DIFFERS');
  return digest;
}

/** Every term that is signed. */
export function renderRequest(request: RequestView): string {
  const { id, act, params, requester, reason, needed, approvals, state, expiresAt, digest, result } = request;
  const lines: readonly (readonly [string, string])[] = [
    ['request', id],
    ['act', `${act} ${canonicalJson(params)}`],
    ['reason', reason],
    ['by', `${requester.sub} (${requester.issuer})`],
    ['approvals', `${approvals.length} of ${needed}${approvals.map(({ sub }) => ` ${sub}`).join(',')}`],
    ['expires', expiresAt],
    ['digest', digest],
    ['state', state],
    ...(result === undefined || result === null ? [] : [['result', canonicalJson(result)] as const]),
  ];
  return lines.map(([name, value]) => `${name.padEnd(10)} ${oneLine(value)}\n`).join('');
}
