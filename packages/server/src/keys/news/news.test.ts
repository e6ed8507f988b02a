/** News between custodians on one database: nothing is passed by, whatever the order of commits and whatever breaks. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyNews, WireNews } from '@keyward/sdk/client';
import { newUuid } from '../../core/index.ts';
import { openPool, withTransaction } from '../../db/index.ts';
import { announce, EVERY_KEY, type News } from '../news.ts';
import { type KeyDatabase, startKeyDatabase, testLog } from '../testing.ts';
import { createNewsFeed, MAX_REMEMBERED_NEWS } from './news-feed.ts';
import { startNewsListener } from './news-listener.ts';

let database: KeyDatabase;
before(async () => {
  database = await startKeyDatabase();
});
after(() => database.stop());

/** A custodian's ears, and all that its own process was told. */
async function startEars(context: TestContext, tenant: string) {
  const own: (KeyNews | 'clear')[] = [];
  const feed = createNewsFeed({
    forget: ({ ids, specs }) => void own.push({ ids, specs }),
    clear: () => void own.push('clear'),
  });
  const applicationName = `ears ${newUuid().slice(0, 8)}`;
  const pool = openPool(database.connection, { max: 1, applicationName });
  const listener = await startNewsListener({ pool, tenant, feed, log: testLog() });
  context.after(async () => {
    await listener.stop();
    await pool.end();
  });
  const kill = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1';
  return { feed, own, deafen: () => database.pool.query(kill, [applicationName]) };
}

const tell = (tenant: string, news: News) =>
  withTransaction(database.pool, (client) => announce(client, tenant, new Date(), news));

const idNews = (): News => ({ ids: [newUuid().replaceAll('-', '')], specs: [] });

async function until(isSo: () => boolean, withinMs = 3000): Promise<void> {
  for (const end = performance.now() + withinMs; !isSo() && performance.now() < end; ) await sleep(5);
  assert.ok(isSo(), 'not within the time');
}

const newsIn = (lines: readonly WireNews[]) => lines.filter(({ ids }) => ids !== undefined).map(({ ids }) => ids![0]);

test('[K8] what one custodian announces all hear, in order, and none of another tenant', async (context) => {
  const tenant = newUuid();
  const ears = await Promise.all([startEars(context, tenant), startEars(context, tenant)]);
  const lines = ears.map(({ feed }) => {
    const heard: WireNews[] = [];
    assert.ok(feed.subscribe(undefined, (line) => void heard.push(line)));
    return heard;
  });
  await tell(newUuid(), idNews());
  const all = Array.from({ length: 20 }, idNews);
  for (const news of all) await tell(tenant, news);
  await until(() => lines.every((heard) => newsIn(heard).length === 20));
  for (const heard of lines) {
    assert.deepEqual(heard[0], { sequence: 0, reset: true });
    assert.deepEqual(
      newsIn(heard),
      all.map(({ ids }) => ids[0]),
    );
  }
  assert.deepEqual(ears[0].own, ['clear', ...all]);
});

test('[K8] announcements become visible in the order of their sequences, so that a slow transaction is not passed by', async (context) => {
  const tenant = newUuid();
  const { own } = await startEars(context, tenant);
  const [slow, fast] = [idNews(), idNews()];
  const [announced, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const first = withTransaction(database.pool, async (client) => {
    await announce(client, tenant, new Date(), slow);
    announced.resolve();
    await released.promise;
  });
  await announced.promise;
  const second = tell(tenant, fast);
  await sleep(50);
  released.resolve();
  await Promise.all([first, second]);
  await until(() => own.length === 3);
  assert.deepEqual(own.slice(1), [slow, fast]);
});

test('[K8] what is announced while the connection is lost is heard behind it', async (context) => {
  const tenant = newUuid();
  const { own, deafen } = await startEars(context, tenant);
  const all = Array.from({ length: 5 }, idNews);
  await deafen();
  for (const news of all) await tell(tenant, news);
  await until(() => own.length === 6);
  assert.deepEqual(own.slice(1), all);
});

test('[K8] who comes back hears what it missed; who comes back too late, or from elsewhere, drops everything', async (context) => {
  const tenant = newUuid();
  const { feed } = await startEars(context, tenant);
  const heard: WireNews[] = [];
  const stop = feed.subscribe(undefined, (line) => void heard.push(line));
  await tell(tenant, idNews());
  await until(() => newsIn(heard).length === 1);
  const { sequence } = heard.at(-1)!;
  stop?.();
  const missed = idNews();
  await tell(tenant, missed);
  await until(() => feed.head() > sequence);
  const linesAfter = (sequenceHeard: number) => {
    const lines: WireNews[] = [];
    feed.subscribe(sequenceHeard, (line) => void lines.push(line))?.();
    return lines;
  };
  const reset = [{ sequence: feed.head(), reset: true }];
  assert.deepEqual(newsIn(linesAfter(sequence)), missed.ids);
  assert.deepEqual(newsIn(linesAfter(feed.head())), []);
  assert.deepEqual(linesAfter(feed.head() + 1), reset);
  feed.publish(
    Array.from({ length: MAX_REMEMBERED_NEWS }, (_, at) => ({
      sequence: feed.head() + at + 1,
      ids: [],
      specs: [],
      everything: false,
    })),
  );
  assert.deepEqual(linesAfter(sequence)[0]!.reset, true);
});

test('[K8] a custodian that starts later knows what was announced before', async (context) => {
  const tenant = newUuid();
  const [old, young] = [idNews(), idNews()];
  await tell(tenant, old);
  await tell(tenant, young);
  const { feed } = await startEars(context, tenant);
  const { rows } = await database.pool.query<{ first: string }>(
    'SELECT min(sequence) AS first FROM key_news WHERE tenant = $1',
    [tenant],
  );
  const lines: WireNews[] = [];
  feed.subscribe(Number(rows[0]!.first), (line) => void lines.push(line));
  assert.deepEqual(newsIn(lines), young.ids);
});

test('[K8] news about more keys than can be named have every key dropped', async (context) => {
  const tenant = newUuid();
  const { feed, own } = await startEars(context, tenant);
  const lines: WireNews[] = [];
  feed.subscribe(feed.head(), (line) => void lines.push(line));
  await tell(tenant, { ids: idNews().ids, specs: [EVERY_KEY] });
  await until(() => lines.some(({ reset }) => reset));
  assert.deepEqual(own, ['clear', 'clear']);
});

test('[K8] a custodian that cannot hear says so: no heartbeats, no subscriptions', async () => {
  const feed = createNewsFeed({ forget: () => undefined, clear: () => undefined });
  assert.equal(
    feed.subscribe(undefined, () => undefined),
    undefined,
  );
  feed.begin([]);
  assert.ok(feed.subscribe(undefined, () => undefined));
  feed.deafen();
  assert.equal(
    feed.subscribe(0, () => undefined),
    undefined,
  );
});
