/** Patience with a root: what is tried again, what is not, how often, and that a wrong answer is noticed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeywardError } from '../../core/index.ts';
import { testLog } from '../testing.ts';
import { rootFailure } from './failure.ts';
import { type Resilience, RESILIENCE } from './resilience.ts';
import { resilient } from './resilient.ts';
import type { Root } from './root.ts';

const AAD = Buffer.from('aad');
const WRAPPED = Buffer.from('wrapped');
const DOWN = () => rootFailure('KEYS_ROOT_UNAVAILABLE');

/** A root whose unwrapping is given; it wraps to `WRAPPED` whatever it gets. */
function startRoot(unwrap: Root['unwrap'], changes: Partial<Resilience> = {}) {
  let nowMs = 0;
  const pauses: number[] = [];
  const lines: string[] = [];
  let calls = 0;
  const root: Root = {
    wrap: async () => Buffer.from(WRAPPED),
    unwrap: (...args) => {
      calls += 1;
      return unwrap(...args);
    },
    describe: () => ({ provider: 'local', key: 'x', hardware: false, exportable: true }),
    close: async () => undefined,
  };
  const guarded = resilient(
    root,
    { log: testLog(lines) },
    {
      ...RESILIENCE,
      timeoutMs: 50,
      now: () => nowMs,
      random: () => 1,
      pause: async (ms) => void pauses.push(ms),
      ...changes,
    },
  );
  return { guarded, pauses, lines, calls: () => calls, pass: (ms: number) => (nowMs += ms) };
}

test('[K9] an outage is tried again with growing pauses, and then told', async () => {
  const { guarded, pauses, calls } = startRoot(() => Promise.reject(DOWN()));
  await assert.rejects(guarded.unwrap(WRAPPED, AAD), { code: 'KEYS_ROOT_UNAVAILABLE' });
  assert.equal(calls(), 3);
  assert.deepEqual(pauses, [200, 400]);
});

test('[K9] one that answers the second time is not told as an outage', async () => {
  const answers = [() => Promise.reject(DOWN()), async () => Buffer.from('key')];
  const { guarded } = startRoot(() => answers.shift()!());
  assert.deepEqual(await guarded.unwrap(WRAPPED, AAD), Buffer.from('key'));
});

for (const code of ['KEYS_ROOT_REFUSED', 'KEYS_ROOT_MISMATCH', 'KEYS_NOT_AUTHENTIC', 'KEYS_ROOT_UNUSABLE'] as const) {
  test(`[K9] ${code} is told at once, and never opens the breaker`, async () => {
    const { guarded, calls } = startRoot(() => Promise.reject(rootFailure(code)), { breakAfter: 2 });
    for (let call = 1; call <= 4; call += 1) {
      await assert.rejects(guarded.unwrap(WRAPPED, AAD), { code });
      assert.equal(calls(), call);
    }
  });
}

test('[K9] what does not answer in time is given up, told to stop, and its late bytes are wiped', async () => {
  const late = Buffer.from('late key');
  let stopped = 0;
  const slow: Root['unwrap'] = (_wrapped, _aad, signal) => {
    signal?.addEventListener('abort', () => (stopped += 1));
    return new Promise((resolve) => void setTimeout(() => resolve(late), 80));
  };
  const { guarded } = startRoot(slow, { attempts: 1, timeoutMs: 20 });
  await assert.rejects(guarded.unwrap(WRAPPED, AAD), { code: 'KEYS_ROOT_UNAVAILABLE' });
  assert.equal(stopped, 1);
  await RESILIENCE.pause(120);
  assert.deepEqual(late, Buffer.alloc(late.length));
});

test('[K9] after failures in a row the root is left alone, one call finds out, and then all pass again', async () => {
  let isDown = true;
  const answer = async () => Buffer.from('key');
  const { guarded, calls, pass, lines } = startRoot(() => (isDown ? Promise.reject(DOWN()) : answer()), {
    attempts: 1,
    breakAfter: 3,
    coolDownMs: 1000,
  });
  for (let call = 0; call < 10; call += 1) await assert.rejects(guarded.unwrap(WRAPPED, AAD));
  assert.equal(calls(), 3);
  pass(1000);
  await Promise.allSettled([1, 2, 3].map((each) => guarded.unwrap(Buffer.of(each), AAD)));
  assert.equal(calls(), 4);
  isDown = false;
  pass(1000);
  await guarded.unwrap(WRAPPED, AAD);
  await Promise.all([1, 2, 3].map((each) => guarded.unwrap(Buffer.of(each), AAD)));
  assert.equal(calls(), 8);
  const events = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  assert.deepEqual(events, ['the root does not answer', 'the root answers again']);
});

test('[K9] those who ask for the same at the same time cost one call, and each owns its bytes', async () => {
  const answers: Buffer[] = [];
  const { guarded, calls } = startRoot(async () => {
    const key = Buffer.from('key');
    answers.push(key);
    return key;
  });
  const [first, ...others] = await Promise.all([1, 2, 3, 4].map(() => guarded.unwrap(WRAPPED, AAD)));
  first?.fill(0);
  assert.deepEqual(
    others,
    [1, 2, 3].map(() => Buffer.from('key')),
  );
  assert.equal(calls(), 1);
  assert.deepEqual(answers, [Buffer.alloc(3)]);
  await Promise.all([guarded.unwrap(WRAPPED, AAD), guarded.unwrap(WRAPPED, Buffer.from('other'))]);
  assert.equal(calls(), 3);
});

test('[K9] no more calls run at the same time than it may', async () => {
  let [running, most] = [0, 0];
  const { guarded } = startRoot(
    async () => {
      running += 1;
      most = Math.max(most, running);
      await RESILIENCE.pause(2);
      running -= 1;
      return Buffer.from('key');
    },
    { maxConcurrent: 3 },
  );
  await Promise.all(Array.from({ length: 20 }, (_, each) => guarded.unwrap(Buffer.of(each), AAD)));
  assert.equal(most, 3);
});

const WRONG_ANSWERS: Record<string, () => Promise<Buffer>> = {
  'another plaintext': async () => Buffer.from('another'),
  'a shorter one': async () => Buffer.from('plaintex'),
  'that it is not authentic': () => Promise.reject(rootFailure('KEYS_NOT_AUTHENTIC')),
  'that another key wrapped it': () => Promise.reject(rootFailure('KEYS_ROOT_MISMATCH')),
};

for (const [what, answer] of Object.entries(WRONG_ANSWERS)) {
  test(`[K9] a root that unwraps what it just wrapped to ${what} is refused before anything is stored`, async () => {
    const { guarded } = startRoot(answer);
    await assert.rejects(guarded.wrap(Buffer.from('plaintext'), AAD), { code: 'KEYS_ROOT_WRONG_ANSWER' });
  });
}

test('[K10] an error of a foreign client loses its text, and keeps its name and code for the log', async () => {
  const foreign = Object.assign(new Error('token s.SECRET was refused'), { name: 'ClientError', code: 'E_TOKEN' });
  const { guarded } = startRoot(() => Promise.reject(foreign));
  const error = await guarded.unwrap(WRAPPED, AAD).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof KeywardError && error.code === 'KEYS_ROOT_WRONG_ANSWER');
  const cause = error.cause as Error & { code: string };
  assert.deepEqual([cause.name, cause.code, cause.message], ['ClientError', 'E_TOKEN', 'said by the root']);
});
