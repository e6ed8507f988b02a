/** Keys that the ledger writes with: whatever is done to keys has to be recorded first, so these have to stay. */
import { KeywardError } from '../../core/index.ts';
import type { DataKeys } from '../data-keys.ts';
import type { Wanted } from '../grants.ts';
import type { Why } from './changes.ts';
import type { LifeParts } from './parts.ts';
import type { KeyVersion } from './versions.ts';

const DAY_MS = 86_400_000;

/** For so long after the active KEK stops protecting, the ledger can record how operators go on. */
const DAYS_AHEAD = 31;

const dayOf = (now: Date, days: number): string =>
  new Date(now.getTime() + days * DAY_MS).toISOString().slice(0, 'YYYY-MM-DD'.length);

/** @throws KeywardError `KEYS_LEDGER_NEEDS` for what the ledger writes with, at the earliest midnight of any clock */
export function requireDispensable({ kind, scope, state }: KeyVersion, now: Date): void {
  const written = kind === 'pseudonym' || (kind === 'ledger' && scope >= dayOf(now, -1));
  if (written && state === 'active') throw new KeywardError('KEYS_LEDGER_NEEDS');
}

/** Active keys that certificates are signed with, and whatever proves that records were erased from a backup. */
export function requireReplaced(versions: readonly KeyVersion[]): void {
  if (versions.some(({ kind, state }) => kind === 'signature' && state === 'active'))
    throw new KeywardError('KEYS_TRANSITION_REFUSED', {
      detail: 'Certificates are signed with it: "keyward keys rotate signature" first.',
    });
  if (versions.some(({ kind }) => kind === 'backup'))
    throw new KeywardError('KEYS_TRANSITION_REFUSED', {
      detail: 'Without it no destroyed key could be erased from its backup any more.',
    });
}

/** What was recorded must stay readable: there is no retention rule yet that would end. */
export function requireNoEvidence(versions: readonly KeyVersion[]): void {
  if (versions.some(({ kind }) => kind === 'ledger' || kind === 'pseudonym'))
    throw new KeywardError('KEYS_LEDGER_NEEDS');
}

/**
 * Without an active KEK no key is made, also none for the ledger's next day; then nobody could record that he ends the
 * suspension, or that he rotates. So those keys are made while the KEK still may.
 */
export async function keepLedgerWriting(parts: LifeParts, dataKeys: DataKeys, why: Why): Promise<void> {
  const now = parts.clock.now();
  const days: Wanted[] = Array.from({ length: DAYS_AHEAD }, (_, day) => ({ kind: 'ledger', scope: dayOf(now, day) }));
  const there = new Set((await dataKeys.findBySpecs(days)).map(({ scope }) => scope));
  const missing = days.filter(({ scope }) => !there.has(scope));
  if (missing.length === 0) return;
  const drafts = await dataKeys.draft(missing);
  const facts = {
    verb: 'create',
    rule: 'keys.ledger-ahead',
    resources: drafts.map(({ scope }) => `ledger/${scope}`),
    keyIds: drafts.map(({ id }) => id),
  };
  await parts.recorder.record([parts.events.changing(facts, why)]);
  await dataKeys.insert(drafts);
}
