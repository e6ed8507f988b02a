/** The custodian's side of the token process: started when it is needed, ended when it hangs, started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { KeywardError } from '../../../core/index.ts';
import { rootFailure } from '../failure.ts';
import { isWrongPin, tokenFailure } from './failures.ts';
import { createFrameReader, encodeFrame, type Frame } from './frames.ts';
import type { TokenReply, TokenSettings } from './messages.ts';

export interface TokenClient {
  /** Opens the token, where it is not open. */
  open(): Promise<{ readonly hardware: boolean }>;
  ask(act: 'encrypt' | 'decrypt', bytes: Buffer, signal?: AbortSignal): Promise<Buffer>;
  /** Process id while it runs. */
  pid(): number | undefined;
  close(): Promise<void>;
}

const PROGRAM = fileURLToPath(import.meta.resolve('./token-process.ts'));
/** Some libraries look for their network HSM for seconds before they give up. */
const START_LIMIT_MS = 20_000;
/** Without a debugger by signal, as all processes that hold keys. */
const RUNTIME_FLAGS = ['--disable-sigusr1'];

interface Answer {
  readonly hardware: boolean;
  readonly bytes: Buffer;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

interface Conversation {
  readonly child: ChildProcess;
  readonly waiting: Map<number, Waiting>;
  readonly opened: Promise<Answer>;
}

type Question = { readonly act: 'encrypt' | 'decrypt' } | { readonly act: 'open'; readonly settings: TokenSettings };

/**
 * @param readSettings asked each time the token is opened: the PIN may have changed
 * @param startLimitMs after so long a token that does not open is given up, and opened anew when it is asked again
 */
export function createTokenClient(readSettings: () => TokenSettings, startLimitMs = START_LIMIT_MS): TokenClient {
  let current: Conversation | undefined;
  let lastId = 0;
  /** Digest of a PIN that the token refused. */
  let wrongPin: string | undefined;

  const ask = (to: Pick<Conversation, 'child' | 'waiting'>, question: Question, bytes?: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      lastId += 1;
      to.waiting.set(lastId, { resolve, reject });
      const frame = encodeFrame({ id: lastId, ...question }, bytes);
      to.child.stdin?.write(frame, () => void frame.fill(0));
    });

  const start = (): Conversation => {
    const settings = readSettings();
    if (digestOf(settings.pin) === wrongPin) throw tokenFailure('CKR_PIN_INCORRECT');
    const waiting: Conversation['waiting'] = new Map();
    const child = spawnTokenProcess(waiting, (failure) => {
      if (isWrongPin(failure)) wrongPin = digestOf(settings.pin);
    });
    const conversation = { child, waiting, opened: ask({ child, waiting }, { act: 'open', settings }) };
    const limit = setTimeout(() => endConversation(conversation), startLimitMs).unref();
    void conversation.opened.catch(() => endConversation(conversation)).finally(() => clearTimeout(limit));
    child.once('exit', () => {
      if (current === conversation) current = undefined;
    });
    current = conversation;
    return conversation;
  };

  /**
   * A call that failed in the library leaves its session in an unknown state, one that was given up still runs in it: both end it.
   * A start goes on when the attempt that began it is given up: one that is slow would never be done otherwise.
   */
  const inConversation = async (signal: AbortSignal | undefined, run: (to: Conversation) => Promise<Answer>) => {
    const conversation = current ?? start();
    await unlessAborted(conversation.opened, signal);
    const end = () => endConversation(conversation);
    signal?.addEventListener('abort', end, { once: true });
    try {
      return await run(conversation);
    } catch (thrown) {
      if (!(thrown instanceof KeywardError) || !KEEPS_SESSION.has(thrown.code)) end();
      throw thrown;
    } finally {
      signal?.removeEventListener('abort', end);
    }
  };
  const endConversation = ({ child }: Conversation): void => {
    if (current?.child === child) current = undefined;
    child.kill('SIGKILL');
  };
  return {
    open: () => (current ?? start()).opened,
    async ask(act, bytes, signal) {
      return (await inConversation(signal, (to) => ask(to, { act }, bytes))).bytes;
    },
    pid: () => current?.child.pid,
    async close() {
      if (current) endConversation(current);
    },
  };
}

/** The answer, or no longer waited for. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return answer;
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(rootFailure('KEYS_ROOT_UNAVAILABLE', 'The token is still being opened.'));
    if (signal.aborted) return giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    void answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

/** After an altered ciphertext the session is as good as before. */
const KEEPS_SESSION: ReadonlySet<string> = new Set(['KEYS_NOT_AUTHENTIC', 'KEYS_ROOT_MISMATCH']);

const digestOf = (pin: string): string => createHash('sha256').update(pin, 'utf8').digest('hex');

function spawnTokenProcess(waiting: Conversation['waiting'], onFailure: (failure: string) => void): ChildProcess {
  // Libraries of HSMs take their own settings from the environment. What they print may hold anything, so nobody reads it.
  const child = spawn(process.execPath, [...RUNTIME_FLAGS, PROGRAM], { stdio: ['pipe', 'pipe', 'ignore'] });
  const settle = ({ message, bytes }: Frame): void => {
    const reply = message as TokenReply;
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('failure' in reply) {
      onFailure(reply.failure);
      asked?.reject(tokenFailure(reply.failure));
    } else asked?.resolve({ hardware: reply.hardware ?? false, bytes });
  };
  const abandon = (): void => {
    for (const { reject } of waiting.values()) reject(rootFailure('KEYS_ROOT_UNAVAILABLE', 'The token process ended.'));
    waiting.clear();
  };
  child.stdout?.on('data', createFrameReader(settle));
  child.stdin?.on('error', abandon);
  child.once('error', abandon).once('exit', abandon);
  return child;
}
