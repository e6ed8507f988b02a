/** Group commit: while one batch is being written, all that arrive wait for the next and share it. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface GroupCommitInputs<T> {
  /** Makes a batch durable; writing the same items twice is harmless. */
  readonly commit: (batch: readonly T[]) => Promise<void>;
  /** Whether a failed commit is tried again while somebody waits for it. */
  readonly isTransient: (error: unknown) => boolean;
  readonly maxBatch: number;
  /** What a caller gets whose items were not durable in time. */
  readonly failure: (cause: unknown) => Error;
}

export interface GroupCommit<T> {
  /** Resolves when all items are durable, fails after `waitMs`; they are written in their order. */
  add(items: readonly T[], waitMs: number): Promise<void>;
  /** Resolves when nothing is waiting any more. */
  drained(): Promise<void>;
}

/** Pause before a batch is tried again. */
const RETRY_PAUSE_MS = 50;

/** One call of `add`. */
interface Waiter {
  readonly settled: boolean;
  oneWritten(): void;
  fail(cause: unknown): void;
}

export function createGroupCommit<T>(inputs: GroupCommitInputs<T>): GroupCommit<T> {
  let queue: { readonly item: T; readonly waiter: Waiter }[] = [];
  let writing: Promise<void> | undefined;
  let lastError: unknown;

  /** Those nobody waits for any more are dropped: their callers have failed closed, and the queue stays bounded. */
  const takeBatch = () => {
    queue = queue.filter(({ waiter }) => !waiter.settled);
    return queue.splice(0, inputs.maxBatch);
  };

  const writeAll = async () => {
    for (let batch = takeBatch(); batch.length > 0; batch = takeBatch()) {
      try {
        await inputs.commit(batch.map(({ item }) => item));
        lastError = undefined;
        for (const { waiter } of batch) waiter.oneWritten();
      } catch (error) {
        lastError = error;
        if (inputs.isTransient(error)) {
          queue.unshift(...batch);
          await sleep(RETRY_PAUSE_MS);
        } else for (const { waiter } of batch) waiter.fail(error);
      }
    }
    writing = undefined;
  };

  const add = (items: readonly T[], waitMs: number) =>
    new Promise<void>((resolve, reject) => {
      if (items.length === 0) return resolve();
      const fail = (cause: unknown) => reject(inputs.failure(cause ?? lastError));
      const waiter = createWaiter(items.length, waitMs, resolve, fail);
      queue.push(...items.map((item) => ({ item, waiter })));
      writing ??= writeAll();
    });

  return { add, drained: async () => writing };
}

function createWaiter(count: number, waitMs: number, resolve: () => void, reject: (cause: unknown) => void): Waiter {
  let remaining = count;
  let settled = false;
  const settle = (act: () => void) => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    act();
  };
  const fail = (cause: unknown) => settle(() => reject(cause));
  const timer = setTimeout(() => fail(undefined), waitMs);
  const oneWritten = () => {
    remaining -= 1;
    if (remaining === 0) settle(resolve);
  };
  return {
    get settled() {
      return settled;
    },
    oneWritten,
    fail,
  };
}
