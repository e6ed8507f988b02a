/** The client where the custodian says that it asks for too much: it comes back when it may, within its time. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { generateDataKey } from '../seal/index.ts';
import { createCustodianClient } from './custodian-client.ts';

const USE = { tenant: 'clinic', subjects: [], purpose: 'TREAT', correlationId: '00000000-0000-4000-8000-000000000001' };

/** Refuses so many calls by rate, then answers. */
async function start(context: TestContext, refusals: number, retryAfter: string) {
  const directory = mkdtempSync(join(tmpdir(), 'keyward-rate-'));
  const socketPath = join(directory, 'custodian.sock');
  const key = generateDataKey();
  let calls = 0;
  const server = createServer((_request, response) => {
    calls += 1;
    const refused = calls <= refusals;
    const body = refused
      ? { code: 'KEYS_RATE_LIMITED' }
      : { keys: [{ id: key.id, secret: key.secret.export().toString('base64') }] };
    response.writeHead(refused ? 429 : 200, refused ? { 'retry-after': retryAfter } : {}).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => void server.listen(socketPath, resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const client = createCustodianClient({ socketPath, credential: 'c', timeoutMs: 60_000 });
  return { ask: () => client.process([key.id], USE), calls: () => calls };
}

test('[K6] a call that is refused by rate is sent again after the time that the custodian names', async (context) => {
  const { ask, calls } = await start(context, 1, '1');
  const beganMs = performance.now();
  assert.equal((await ask()).length, 1);
  assert.ok(performance.now() - beganMs >= 990);
  assert.equal(calls(), 2);
});

test('[K6] what would take longer than the call may is told at once, as a refusal by rate', async (context) => {
  const { ask, calls } = await start(context, 99, '3600');
  await assert.rejects(ask(), { code: 'KEYS_RATE_LIMITED' });
  assert.equal(calls(), 1);
});

test('[K6] a custodian that names no time, or nonsense, is not asked again', async (context) => {
  for (const retryAfter of ['', 'soon', '-1']) {
    const { ask, calls } = await start(context, 99, retryAfter);
    await assert.rejects(ask(), { code: 'KEYS_RATE_LIMITED' });
    assert.equal(calls(), 1);
  }
});
