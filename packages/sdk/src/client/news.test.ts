/** The follower of news against custodians that break off, fall silent, or say what nobody understands. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCustodianClient } from './custodian-client.ts';

interface Call {
  readonly url: string;
  readonly say: (line: unknown) => void;
  readonly response: ServerResponse;
}

/** A custodian that tells only what the test says. */
async function serve(context: TestContext, greet: (call: Call, nth: number) => void) {
  const directory = mkdtempSync(join(tmpdir(), 'keyward-news-'));
  const socketPath = join(directory, 'custodian.sock');
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    const say = (line: unknown) => void response.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
    const call = { url: request.url ?? '', say, response };
    calls.push(call);
    greet(call, calls.length);
  });
  await new Promise<void>((resolve) => void server.listen(socketPath, resolve));
  const heard: unknown[] = [];
  const client = createCustodianClient({ socketPath, credential: 'of-a-test', timeoutMs: 1000 });
  const following = client.follow(
    { forget: (news) => void heard.push(news), clear: () => void heard.push('clear') },
    (hearing) => void heard.push(hearing),
  );
  context.after(() => {
    following.close();
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { calls, heard, following };
}

/** When a test gives up. */
const PATIENCE_MS = 60_000;

async function until(isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !isSo() && performance.now() < end; ) await sleep(5);
  assert.ok(isSo(), 'not within the time');
}

const NEWS = { ids: ['a'.repeat(32)], specs: [{ kind: 'tenant', scope: '' }] };

test('[K8] the follower applies each line as it comes, and goes on behind the last one when the stream breaks', async (context) => {
  const { calls, heard } = await serve(context, (call, nth) => {
    call.say(nth === 1 ? { sequence: 7, reset: true } : { sequence: 9, ...NEWS });
    if (nth === 1) {
      call.say({ sequence: 8, ...NEWS });
      call.response.end();
    }
  });
  await until(() => heard.length >= 6);
  assert.deepEqual(heard.slice(0, 6), ['clear', true, NEWS, false, NEWS, true]);
  assert.deepEqual(
    calls.slice(0, 2).map(({ url }) => url),
    ['/v1/keys/news', '/v1/keys/news?after=8'],
  );
});

const BROKEN: Record<string, (call: Call) => void> = {
  'a line that is no JSON': ({ say }) => say('{"sequence": 9, "ids": ['),
  'a line without its place': ({ say }) => say({ ...NEWS }),
  'an error': ({ response }) => void response.writeHead(503).end(),
  'nothing but a closed connection': ({ response }) => void response.destroy(),
};

for (const [what, answer] of Object.entries(BROKEN)) {
  test(`[K8] ${what} counts as a broken stream: the follower comes back and misses nothing`, async (context) => {
    const { calls, heard } = await serve(context, (call, nth) => {
      if (nth === 1) call.say({ sequence: 7 });
      else if (nth > 2) call.say({ sequence: 8, ...NEWS });
      if (nth === 1) call.response.end();
      if (nth === 2) answer(call);
    });
    await until(() => heard.length >= 4);
    assert.deepEqual(heard.slice(0, 4), [true, false, NEWS, true]);
    assert.equal(calls[2]!.url, '/v1/keys/news?after=7');
  });
}

test('[K8] a stream that falls silent is given up after three seconds, and nothing is dropped for it', async (context) => {
  const { calls, heard } = await serve(context, (call) => call.say({ sequence: 7 }));
  await until(() => calls.length === 2);
  assert.deepEqual(heard.slice(0, 2), [true, false]);
  assert.ok(calls[0]!.response.closed);
});

test('[K8] a follower that is closed asks no more', async (context) => {
  const { calls, following } = await serve(context, (call) => call.say({ sequence: 7 }));
  await until(() => calls.length === 1);
  following.close();
  await until(() => calls[0]!.response.closed);
  await sleep(150);
  assert.equal(calls.length, 1);
});
