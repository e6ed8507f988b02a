/** The manifest of a sealed record: which tokens stand where. The proof in its root is over it, so that none can be left out, added or moved. */
import { hash } from 'node:crypto';
import type { OpenSite, RootSeal } from './types.ts';

type Entry = Pick<OpenSite, 'path' | 'position' | 'token'>;

/** What the proof of a record says: under which rules it was sealed, and the digest of its manifest. */
export const proofText = ({ policy }: Pick<RootSeal, 'policy'>, entries: readonly Entry[]): string =>
  `${policy} ${digestOf(entries)}`;

/**
 * Sorted by path: servers write members in an order of their own. Within a path the order is that of the lists it leads through, which
 * they keep (https://hl7.org/fhir/R4/json.html).
 */
function digestOf(entries: readonly Entry[]): string {
  const sorted = entries.toSorted(({ path: left }, { path: right }) => (left < right ? -1 : left > right ? 1 : 0));
  const text = sorted
    .map(({ path, position, token }) => prefixed(path) + prefixed(position) + prefixed(token))
    .join('');
  return hash('sha256', text, 'base64url');
}

/** With its length before it. All of it is ASCII, so that characters are bytes. */
const prefixed = (text: string): string => `${text.length}:${text}`;
