/** How much one key may protect: shares of 2^32 uses, the most that random 96-bit nonces allow (NIST SP 800-38D, section 8.3). */

export const MOST_USES = 2 ** 32;

export type Usage = 'fine' | 'warn' | 'rotate' | 'exhausted';

const EXHAUSTED_SHARE = 0.9;

/** From so many uses on a key protects nothing more. */
export const EXHAUSTED_USES = Math.ceil(EXHAUSTED_SHARE * MOST_USES);

const ROTATE_SHARE = 0.75;

/** From so many uses on a key is to be replaced. */
export const USES_TO_ROTATE = Math.ceil(ROTATE_SHARE * MOST_USES);

/** From the highest share down: the first that is reached counts. */
const SHARES: readonly (readonly [share: number, usage: Usage])[] = [
  [EXHAUSTED_SHARE, 'exhausted'],
  [ROTATE_SHARE, 'rotate'],
  [0.5, 'warn'],
];

export function usageOf(uses: number): Usage {
  return SHARES.find(([share]) => uses >= share * MOST_USES)?.[1] ?? 'fine';
}
