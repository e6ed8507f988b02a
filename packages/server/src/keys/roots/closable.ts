/** A root that wraps and unwraps nothing more once it is closed. */
import { rootFailure } from './failure.ts';
import type { Root } from './root.ts';

/** Closes once, however often it is asked to. */
export function untilClosed(root: Root): Root {
  let closed: Promise<void> | undefined;
  const whileOpen = async (call: () => Promise<Buffer>): Promise<Buffer> => {
    if (closed) throw rootFailure('KEYS_ROOT_UNUSABLE', 'It was closed: open it anew.');
    return call();
  };
  return {
    wrap: (plaintext, aad, signal) => whileOpen(() => root.wrap(plaintext, aad, signal)),
    unwrap: (wrapped, aad, signal) => whileOpen(() => root.unwrap(wrapped, aad, signal)),
    describe: () => root.describe(),
    close: () => (closed ??= root.close()),
  };
}
