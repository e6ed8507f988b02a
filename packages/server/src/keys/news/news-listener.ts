/** Listens to the database for news of keys, on a connection of its own, and makes up for what it missed. */
import type { Pool, PoolClient } from 'pg';
import { NEWS_HEARTBEAT_MS } from '@keyward/sdk/client';
import { asKeywardError, type Log } from '../../core/index.ts';
import { mapDbError } from '../../db/index.ts';
import { NEWS_CHANNEL } from '../news.ts';
import { MAX_REMEMBERED_NEWS, type NewsFeed } from './news-feed.ts';
import { newestNews, newsAfter } from './news-rows.ts';

export interface NewsListenerOptions {
  /** One connection, for this alone: it is held for as long as it lasts. */
  readonly pool: Pool;
  readonly tenant: string;
  readonly feed: NewsFeed;
  readonly log: Log;
}

export interface RunningNewsListener {
  stop(): Promise<void>;
}

const FIRST_WAIT_MS = 50;
const MAX_WAIT_MS = 2_000;
/** A connection that does not answer a look at the table within this time counts as lost. */
const READ_TIMEOUT_MS = 2_000;

/**
 * Looks at the table when the channel wakes it, and once a second in any case: a wake-up may be lost with its connection, a row
 * is not. Resolves when it hears; goes on by itself when the database goes away later.
 * @throws KeywardError `DB_UNAVAILABLE`
 */
export async function startNewsListener(options: NewsListenerOptions): Promise<RunningNewsListener> {
  const ended = new AbortController();
  const first = await connect(options, async (client) => {
    options.feed.begin(await newestNews(client, options.tenant, MAX_REMEMBERED_NEWS));
  });
  const running = keepListening(options, first, ended.signal);
  return {
    async stop() {
      ended.abort();
      await running;
    },
  };
}

/** LISTEN comes before the first look, so that nothing falls between the two. */
async function connect(
  { pool }: NewsListenerOptions,
  lookFirst: (client: PoolClient) => Promise<void>,
): Promise<PoolClient> {
  const client = await pool.connect().catch((error: unknown) => Promise.reject(mapDbError(error)));
  try {
    await inTime(client.query(`LISTEN ${NEWS_CHANNEL}`).then(() => lookFirst(client)));
    return client;
  } catch (error) {
    client.release(true);
    throw mapDbError(error);
  }
}

async function keepListening(options: NewsListenerOptions, first: PoolClient, ended: AbortSignal): Promise<void> {
  const { feed, log } = options;
  let client: PoolClient | undefined = first;
  for (let waitMs = FIRST_WAIT_MS; !ended.aborted; waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)) {
    try {
      client ??= await connect(options, (each) => look(options, each));
      waitMs = FIRST_WAIT_MS;
      await listen(options, client, ended);
    } catch (error) {
      feed.deafen();
      log.warn('news of keys cannot be heard', { code: asKeywardError(mapDbError(error)).code });
    }
    // It listens: nobody else should get it.
    client?.release(true);
    client = undefined;
    await new Promise<void>((resolve) => void setTimeout(resolve, ended.aborted ? 0 : waitMs));
  }
}

/** Returns when it is ended, throws when the connection is lost. */
async function listen(options: NewsListenerOptions, client: PoolClient, ended: AbortSignal): Promise<void> {
  const bell = createBell();
  client.on('notification', bell.ring);
  client.on('end', bell.ring);
  ended.addEventListener('abort', bell.ring, { once: true });
  try {
    while (!ended.aborted) {
      await bell.rungOr(NEWS_HEARTBEAT_MS);
      if (!ended.aborted) await inTime(look(options, client));
    }
  } finally {
    client.off('notification', bell.ring).off('end', bell.ring);
    ended.removeEventListener('abort', bell.ring);
  }
}

async function look({ tenant, feed }: NewsListenerOptions, client: PoolClient): Promise<void> {
  feed.publish(await newsAfter(client, tenant, feed.head()));
}

interface Bell {
  readonly ring: () => void;
  /** Resolves when it rings, at once when it rang since the last time, or after so many milliseconds. */
  rungOr(waitMs: number): Promise<void>;
}

function createBell(): Bell {
  let { promise, resolve } = Promise.withResolvers<void>();
  return {
    ring: () => resolve(),
    async rungOr(waitMs) {
      const timer = setTimeout(resolve, waitMs);
      await promise;
      clearTimeout(timer);
      ({ promise, resolve } = Promise.withResolvers<void>());
    },
  };
}

function inTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Connection terminated: no answer in time')), READ_TIMEOUT_MS);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
