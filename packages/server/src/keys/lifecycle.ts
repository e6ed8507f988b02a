/** The life of a key version: which state permits what (NIST SP 800-57 part 1, section 7). */
import type { KeyOperation } from '@keyward/sdk/client';

/** `policy` means: only where a recorded policy accepts the risk. There is none yet, so it counts as no. */
type Permission = 'yes' | 'no' | 'policy';

interface StateRow {
  /** Wrap, encrypt, sign, index. */
  readonly protect: Permission;
  /** Unwrap, decrypt, verify. */
  readonly process: Permission;
  readonly next: readonly string[];
}

export const LIFECYCLE = {
  'pre-activation': { protect: 'no', process: 'no', next: ['active', 'compromised', 'destroyed'] },
  active: { protect: 'yes', process: 'yes', next: ['suspended', 'deactivated', 'compromised', 'destroyed'] },
  suspended: { protect: 'no', process: 'policy', next: ['active', 'deactivated', 'compromised', 'destroyed'] },
  deactivated: { protect: 'no', process: 'yes', next: ['compromised', 'destroyed'] },
  compromised: { protect: 'no', process: 'policy', next: ['destroyed'] },
  destroyed: { protect: 'no', process: 'no', next: [] },
} as const satisfies Record<string, StateRow>;

type KeyState = keyof typeof LIFECYCLE;

/** A state that is not in the table, as a damaged row may hold, permits nothing. */
export function permits(state: string, operation: KeyOperation): boolean {
  return Object.hasOwn(LIFECYCLE, state) && LIFECYCLE[state as KeyState][operation] === 'yes';
}
