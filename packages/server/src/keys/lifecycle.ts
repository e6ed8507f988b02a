/** The life of a key version: which state permits what, and leads where (NIST SP 800-57 part 1, section 7). */
import type { KeyOperation } from '@keyward/sdk/client';

/** `policy` means: only under an acceptance of the risk, recorded for this very state of the key. */
type Permission = 'yes' | 'no' | 'policy';

interface StateRow {
  /** Wrap, encrypt, sign, index. */
  readonly protect: Permission;
  /** Unwrap, decrypt, verify. */
  readonly process: Permission;
  readonly next: readonly string[];
}

// biome-ignore format: a table
export const LIFECYCLE = {
  'pre-activation': { protect: 'no',  process: 'no',     next: ['active', 'compromised', 'destroyed'] },
  active:           { protect: 'yes', process: 'yes',    next: ['suspended', 'deactivated', 'compromised', 'destroyed'] },
  suspended:        { protect: 'no',  process: 'policy', next: ['active', 'deactivated', 'compromised', 'destroyed'] },
  deactivated:      { protect: 'no',  process: 'yes',    next: ['compromised', 'destroyed'] },
  compromised:      { protect: 'no',  process: 'policy', next: ['destroyed'] },
  destroyed:        { protect: 'no',  process: 'no',     next: [] },
} as const satisfies Record<string, StateRow>;

export type KeyState = keyof typeof LIFECYCLE;

export const KEY_STATES = Object.keys(LIFECYCLE) as readonly KeyState[];

/** A state that is not in the table, as a damaged row may hold, permits nothing and leads nowhere. */
const NOTHING: StateRow = { protect: 'no', process: 'no', next: [] };

const rowOf = (state: string): StateRow => (Object.hasOwn(LIFECYCLE, state) ? LIFECYCLE[state as KeyState] : NOTHING);

export const permission = (state: string, operation: KeyOperation): Permission => rowOf(state)[operation];

/** Whether a state permits something by itself. */
export const permits = (state: string, operation: KeyOperation): boolean => permission(state, operation) === 'yes';

export const leadsTo = (state: string, next: KeyState): boolean => rowOf(state).next.includes(next);
