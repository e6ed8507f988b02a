/** What falls short in this installation, and what no installation of this version has. Said in the plan itself. */
import type { PlanFacts } from './facts.ts';

interface Gap {
  readonly applies: (facts: PlanFacts) => boolean;
  readonly says: string;
}

const DAY_MS = 86_400_000;
const LEAST_WAITING_MS = 7 * DAY_MS;
/** 45 CFR 164.308(a)(7) names no interval; a year is that of this plan's review. */
const DRILL_MAX_AGE_MS = 365 * DAY_MS;

function hasFreshDrill({ 'plan-facts': { at }, drills: { drills } }: PlanFacts): boolean {
  return drills.some((drill) => drill.opened && Date.parse(at) - Date.parse(drill.at) <= DRILL_MAX_AGE_MS);
}

/** Approvers whose roles count and who have enrolled a key. */
const readyApprovers = ({ roles: { roles } }: PlanFacts): number =>
  roles.filter(({ role, counts, enrolled }) => role === 'approver' && counts && enrolled).length;

const hasState = ({ list: { keks, counts } }: PlanFacts, state: string): boolean =>
  [...keks, ...counts].some((each) => each.state === state);

// biome-ignore format: a table
const GAPS: readonly Gap[] = [
  { applies: ({ 'plan-facts': { root } }) => root.exportable,          says: 'The root key can be copied by whoever has access to where it lies. Move to an HSM or KMS ("keys move-root").' },
  { applies: ({ 'plan-facts': { root } }) => !root.hardware,           says: 'The root key is not in hardware, as far as its provider tells.' },
  { applies: ({ 'plan-facts': { root } }) => !root.fipsCertificate,    says: 'No certificate of the module that holds the root key is known here: note it from the provider, with the day it was checked.' },
  { applies: ({ backups: { backups } }) => backups.length === 0,       says: 'There is no backup of the key hierarchy: if root or key database are lost, everything sealed is lost.' },
  { applies: (facts) => !hasFreshDrill(facts),                         says: 'No recovery was rehearsed with success within a year.' },
  { applies: (facts) => readyApprovers(facts) < facts.policy.settings['approvals.needed'], says: 'Fewer approvers than are needed have enrolled a key: no dangerous act can be approved.' },
  { applies: ({ policy }) => policy.settings['approvals.needed'] === 1,    says: 'One approval is enough: that is two people, with the one who asks.' },
  { applies: ({ roles: { roles } }) => roles.some(({ counts }) => !counts), says: 'Somebody holds roles that conflict; they do not count.' },
  { applies: ({ 'plan-facts': { waitingMs } }) => waitingMs < LEAST_WAITING_MS, says: 'Destructions wait less than 7 days: this installation is for rehearsals.' },
  { applies: (facts) => hasState(facts, 'compromised'),                says: 'There are compromised keys: "keys stale" tells what has to be re-encrypted.' },
  { applies: () => true,                                               says: 'The module in which the custodian encrypts (OpenSSL inside Node.js) is claimed as validated only where Node.js runs with a validated FIPS provider; this plan does not know.' },
  { applies: () => true,                                               says: 'JavaScript cannot promise that every copy of a key in memory is erased; lifetimes are bounded instead.' },
];

export const gapsOf = (facts: PlanFacts): string[] =>
  GAPS.filter(({ applies }) => applies(facts)).map(({ says }) => says);
