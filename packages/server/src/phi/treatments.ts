/** What each treatment stores upstream and where it keeps the token: one row per treatment, read by sealing and by opening. */
import type { Json } from '@keyward/sdk/seal';
import { isToken } from './marks.ts';
import type { Treatment } from './rules.ts';

export interface Sealed {
  readonly token: string;
  readonly indexes: readonly string[];
  /** Whether the date is one that keeps no year. */
  readonly hidesYear: boolean;
}

interface TreatmentRow {
  /** The value that goes upstream; undefined: none. */
  readonly store: (value: Json, sealed: Sealed) => Json | undefined;
  /** The text that holds the token, out of a stored value; undefined: the token is in an extension of the element. */
  readonly read?: (stored: string) => string | undefined;
  /** What a reader sees from whom the value is withheld; undefined: no value. */
  readonly withheld: (stored: Json | undefined) => Json | undefined;
}

const XHTML_OPEN = '<div xmlns="http://www.w3.org/1999/xhtml">';
const XHTML_WITHHELD = `${XHTML_OPEN}<p>Withheld.</p></div>`;
/** Servers may write the attribute and the white space anew. */
const XHTML_OF_TOKEN = /^\s*<div(?:\s[^<>]*)?>\s*([^\s<>]+)\s*<\/div>\s*$/;
const YEAR = /^\d{4}$/;

const nothing = (): undefined => undefined;

export const TREATMENTS: Readonly<Record<Treatment, TreatmentRow>> = {
  seal: { store: (_value, { token }) => token, read: (stored) => stored, withheld: nothing },
  // A value of which the normaliser leaves nothing (a phone without digits) has no index.
  index: { store: (_value, { indexes }) => indexes[0] || undefined, withheld: nothing },
  year: {
    store: (value, { hidesYear }) => (hidesYear ? undefined : yearOf(value)),
    withheld: (stored) => (typeof stored === 'string' && YEAR.test(stored) ? stored : undefined),
  },
  omit: { store: nothing, withheld: nothing },
  base64: {
    store: (_value, { token }) => Buffer.from(token).toString('base64'),
    read: (stored) => Buffer.from(stored, 'base64').toString('latin1'),
    withheld: nothing,
  },
  narrative: {
    store: (_value, { token }) => `${XHTML_OPEN}${token}</div>`,
    read: (stored) => XHTML_OF_TOKEN.exec(stored)?.[1],
    withheld: () => XHTML_WITHHELD,
  },
};

function yearOf(value: Json): string | undefined {
  return typeof value === 'string' ? value.slice(0, 4) : undefined;
}

/** The token in a stored value; undefined where the value does not hold one. */
export function tokenInValue(treatment: Treatment, stored: Json | undefined): string | undefined {
  const text = typeof stored === 'string' ? TREATMENTS[treatment].read?.(stored) : undefined;
  return isToken(text) ? text : undefined;
}
