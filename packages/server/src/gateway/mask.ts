/** Masked values: enough to recognise, not enough to identify. */
import type { Json } from '@keyward/sdk/seal';
import type { Disclosure } from '../phi/index.ts';

/** Characters left visible at the end, and the length below which nothing is. */
const VISIBLE_CHARS = 4;
const SHORTEST_PARTLY_VISIBLE_CHARS = 8;

/** The last four characters of a long text; nothing of a short one; what is no text is withheld. */
export function masked(value: Json): Disclosure {
  if (typeof value !== 'string') return { kind: 'withhold' };
  const visible = value.length >= SHORTEST_PARTLY_VISIBLE_CHARS ? value.slice(-VISIBLE_CHARS) : '';
  return { kind: 'mask', value: `••••${visible}` };
}
