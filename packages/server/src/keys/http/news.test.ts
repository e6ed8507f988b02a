/** The stream of news over a real socket: who may hear it, what of it, and how it ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test, type TestContext } from 'node:test';
import type { WireNews } from '@keyward/sdk/client';
import { newUuid, systemClock } from '../../core/index.ts';
import { createNewsFeed } from '../news/news-feed.ts';
import { type KeyDatabase, startCustodian, startKeyDatabase, testDirectory, testLog } from '../testing.ts';
import type { CustodianCredentials } from './credentials.ts';
import { CHILD_CREDENTIALS } from './server.child.ts';
import { createCustodianServer } from './server.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

async function startServer(context: TestContext) {
  const { custodian, ledger } = await startCustodian(context, database.pool);
  const feed = createNewsFeed(custodian);
  feed.begin([]);
  const socketPath = join(testDirectory(context), 'sockets', 'custodian.sock');
  const common = { custodian, socketPath, credentials: CHILD_CREDENTIALS, clock: systemClock, log: testLog() };
  const server = createCustodianServer({ ...common, news: feed });
  await server.start();
  context.after(() => server.close());
  return { feed, server, socketPath, ledger };
}

async function get(socketPath: string, credential: string | undefined, query = ''): Promise<IncomingMessage> {
  const headers = credential === undefined ? {} : { authorization: `Bearer ${credential}` };
  const outgoing = request({ socketPath, path: `/v1/keys/news${query}`, agent: false, headers }).end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  return incoming;
}

/** Lines as they come. */
async function* linesOf(incoming: IncomingMessage): AsyncGenerator<WireNews> {
  for await (const line of createInterface({ input: incoming })) yield JSON.parse(line) as WireNews;
}

const itemOf = (sequence: number, specs: WireNews['specs'] = []) => ({
  sequence,
  ids: [newUuid().replaceAll('-', '')],
  specs,
  everything: false,
});

test('[K4] news are told to registered processes only, and a stranger who asks is recorded', async (context) => {
  const { socketPath, ledger } = await startServer(context);
  for (const credential of [undefined, 'x'.repeat(43)]) {
    const incoming = await get(socketPath, credential);
    incoming.resume();
    assert.equal(incoming.statusCode, 401);
  }
  assert.deepEqual(
    ledger.events.filter(({ class: name }) => name === 'denial').map(({ code }) => code),
    ['KEYS_UNAUTHENTICATED', 'KEYS_UNAUTHENTICATED'],
  );
});

test('[K4] a process hears of patients only when it may have their keys', async (context) => {
  const { feed, socketPath } = await startServer(context);
  const specs = [
    { kind: 'subject', scope: newUuid() },
    { kind: 'store', scope: '' },
  ];
  const expected: Record<keyof CustodianCredentials, readonly string[]> = {
    gateway: ['subject'],
    store: ['store'],
    admin: [],
  };
  for (const [sequence, name] of (['gateway', 'store', 'admin'] as const).entries()) {
    const lines = linesOf(await get(socketPath, CHILD_CREDENTIALS[name]));
    assert.equal((await lines.next()).value?.reset, true);
    const item = itemOf(sequence + 1, specs);
    feed.publish([item]);
    const { value } = await lines.next();
    assert.deepEqual(value?.ids, item.ids);
    assert.deepEqual(
      value?.specs?.map(({ kind }: { kind: string }) => kind),
      expected[name],
    );
  }
});

test('[K8] a place that is no number, or anything else in the query, is refused', async (context) => {
  const { socketPath } = await startServer(context);
  for (const query of [
    '?after=',
    '?after=-1',
    '?after=1e3',
    '?after=1&after=2',
    '?before=1',
    `?after=${'9'.repeat(16)}`,
  ]) {
    const incoming = await get(socketPath, CHILD_CREDENTIALS.gateway, query);
    incoming.resume();
    assert.equal(incoming.statusCode, 400, query);
  }
});

test('[K8] a custodian that cannot hear refuses to tell, and ends no stream that it has begun', async (context) => {
  const { feed, socketPath } = await startServer(context);
  const lines = linesOf(await get(socketPath, CHILD_CREDENTIALS.gateway));
  await lines.next();
  feed.deafen();
  const incoming = await get(socketPath, CHILD_CREDENTIALS.gateway);
  incoming.resume();
  assert.equal(incoming.statusCode, 503);
  const item = itemOf(1);
  feed.publish([item]);
  assert.deepEqual((await lines.next()).value?.ids, item.ids);
});

test('[S1] closing the server ends the streams and waits for nobody', async (context) => {
  const { server, socketPath } = await startServer(context);
  const lines = linesOf(await get(socketPath, CHILD_CREDENTIALS.gateway));
  await lines.next();
  await server.close();
  assert.equal((await lines.next()).done, true);
});

test('[K8] a process that does not read is let go of, instead of filling the memory of the custodian', async (context) => {
  const { feed, socketPath } = await startServer(context);
  const incoming = await get(socketPath, CHILD_CREDENTIALS.gateway);
  incoming.pause();
  const specs = Array.from({ length: 500 }, () => ({ kind: 'subject', scope: newUuid() }));
  for (let sequence = 1; sequence <= 100; sequence += 1) feed.publish([itemOf(sequence, specs)]);
  const closed = new Promise<void>((resolve) => void incoming.on('error', () => undefined).on('close', resolve));
  incoming.resume();
  await closed;
  assert.equal(incoming.complete, false);
});

test('[K8] a process that missed more than it could take in at once starts anew and hears on', async (context) => {
  const { feed, socketPath } = await startServer(context);
  const specs = Array.from({ length: 500 }, () => ({ kind: 'subject', scope: newUuid() }));
  for (let sequence = 1; sequence <= 100; sequence += 1) feed.publish([itemOf(sequence, specs)]);
  const lines = linesOf(await get(socketPath, CHILD_CREDENTIALS.gateway, '?after=1'));
  assert.deepEqual((await lines.next()).value, { sequence: 100, reset: true });
  const item = itemOf(101);
  feed.publish([item]);
  assert.deepEqual((await lines.next()).value?.ids, item.ids);
  const near = linesOf(await get(socketPath, CHILD_CREDENTIALS.gateway, '?after=99'));
  assert.equal((await near.next()).value?.specs?.length, 500, 'little that was missed is told');
});
