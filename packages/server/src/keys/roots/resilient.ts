/** A root as the custodian uses it: in time, once for equal questions, tried again, left alone when it is down, and checked. */
import { timingSafeEqual } from 'node:crypto';
import { KeywardError, type Log } from '../../core/index.ts';
import { createBreaker } from './breaker.ts';
import { rootFailure } from './failure.ts';
import { type Resilience, RESILIENCE } from './resilience.ts';
import type { Root } from './root.ts';
import { createSharedBytes } from './shared-bytes.ts';
import { createSlots } from './slots.ts';

interface ResilientContext {
  readonly log: Log;
}

type Attempt = (signal: AbortSignal) => Promise<Buffer>;

export function resilient(root: Root, { log }: ResilientContext, resilience: Resilience = RESILIENCE): Root {
  const call = createCaller(log, resilience);
  const shared = createSharedBytes();
  const unwrap: Root['unwrap'] = (wrapped, aad) =>
    shared(nameOf(wrapped, aad), () => call((signal) => root.unwrap(wrapped, aad, signal)));
  return {
    async wrap(plaintext, aad) {
      const wrapped = await call((signal) => root.wrap(plaintext, aad, signal));
      await proveUnwraps(unwrap(wrapped, aad), plaintext);
      return wrapped;
    },
    unwrap,
    describe: () => root.describe(),
    close: () => root.close(),
  };
}

const nameOf = (wrapped: Uint8Array, aad: Uint8Array): string =>
  `${Buffer.from(wrapped).toString('base64')}.${Buffer.from(aad).toString('base64')}`;

/** A KEK that is stored and does not unwrap is lost with everything under it: found out before it is stored. */
async function proveUnwraps(unwrapping: Promise<Buffer>, plaintext: Uint8Array): Promise<void> {
  const unwrapped = await unwrapping.catch((thrown: unknown) => {
    throw isLost(thrown) ? rootFailure('KEYS_ROOT_WRONG_ANSWER', 'What it wraps does not unwrap.') : thrown;
  });
  try {
    if (unwrapped.length === plaintext.length && timingSafeEqual(unwrapped, plaintext)) return;
    throw rootFailure('KEYS_ROOT_WRONG_ANSWER', 'What it wraps unwraps to something else.');
  } finally {
    unwrapped.fill(0);
  }
}

const LOST: ReadonlySet<string> = new Set(['KEYS_NOT_AUTHENTIC', 'KEYS_ROOT_MISMATCH']);
const isLost = (thrown: unknown): boolean => thrown instanceof KeywardError && LOST.has(thrown.code);

function createCaller(log: Log, resilience: Resilience): (attempt: Attempt) => Promise<Buffer> {
  const { attempts, maxConcurrent, pause } = resilience;
  const breaker = createBreaker(resilience);
  const slots = createSlots(maxConcurrent);

  const once = async (attempt: Attempt): Promise<Buffer> => {
    if (!breaker.admits())
      throw rootFailure('KEYS_ROOT_UNAVAILABLE', 'It did not answer before and is left alone for some seconds.');
    try {
      const bytes = await inTime(attempt, resilience.timeoutMs);
      if (breaker.answered()) log.info('the root answers again');
      return bytes;
    } catch (thrown) {
      const failure = coded(thrown);
      if (!failure.row.retry) breaker.answered();
      else if (breaker.failed()) log.error('the root does not answer', { code: failure.code, error: failure });
      throw failure;
    }
  };
  const inSlot = (attempt: Attempt) => slots(() => once(attempt));
  return async (attempt) => {
    for (let made = 1; made < attempts; made += 1) {
      try {
        return await inSlot(attempt);
      } catch (thrown) {
        if (!(thrown as KeywardError).row.retry) throw thrown;
        await pause(pauseMs(made, resilience));
      }
    }
    return inSlot(attempt);
  };
}

/** Full jitter: those who failed together do not come back together. */
const pauseMs = (made: number, { firstPauseMs, random }: Resilience): number =>
  random() * firstPauseMs * 2 ** (made - 1);

const coded = (thrown: unknown): KeywardError =>
  thrown instanceof KeywardError ? thrown : rootFailure('KEYS_ROOT_WRONG_ANSWER', undefined, thrown);

/** A provider that does not heed the signal is not waited for; bytes that come too late are wiped. */
function inTime(attempt: Attempt, timeoutMs: number): Promise<Buffer> {
  const abort = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      abort.abort();
      reject(rootFailure('KEYS_ROOT_UNAVAILABLE', `No answer within ${timeoutMs} ms.`));
    }, timeoutMs);
    const settle = (bytes: Buffer) => {
      clearTimeout(timer);
      if (abort.signal.aborted) bytes.fill(0);
      resolve(bytes);
    };
    attempt(abort.signal).then(settle, (thrown: Error) => {
      clearTimeout(timer);
      reject(thrown);
    });
  });
}
