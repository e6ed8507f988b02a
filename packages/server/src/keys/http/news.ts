/** The stream of news over HTTP: lines of JSON for as long as both sides live. */
import type { ServerResponse } from 'node:http';
import { NEWS_ROUTE, type WireNews } from '@keyward/sdk/client';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Clock, KeywardError } from '../../core/index.ts';
import { mayUse, type RemoteCaller } from '../grants.ts';
import type { NewsFeed } from '../news/news-feed.ts';

export interface NewsRouteOptions {
  readonly feed: NewsFeed;
  readonly clock: Clock;
  /** @throws KeywardError `KEYS_UNAUTHENTICATED` */
  readonly callerOf: (request: FastifyRequest) => Promise<RemoteCaller>;
}

/** Unread lines of a process that has stopped reading. It is let go of, and drops its keys when it comes back too late. */
const MAX_UNREAD_BYTES = 1024 * 1024;
/** Whoever has missed more starts anew; the rest is for what happens while it reads. */
const MAX_MISSED_BYTES = MAX_UNREAD_BYTES / 2;

export function addNews(app: FastifyInstance, { feed, clock, callerOf }: NewsRouteOptions): void {
  const open = new Set<ServerResponse>();
  app.addHook('preClose', async () => open.forEach((response) => response.end()));
  app.get(NEWS_ROUTE, async (request, reply) => {
    const caller = await callerOf(request);
    const response = reply.raw;
    const missed: WireNews[] = [];
    let tell = (line: WireNews) => void missed.push(line);
    const unsubscribe = feed.subscribe(readAfter(request.query), (line) => tell(concerning(caller, line, clock.now())));
    if (!unsubscribe) throw new KeywardError('DB_UNAVAILABLE');
    reply.hijack();
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.write(textOfMissed(missed));
    tell = (line) => {
      response.write(textOf(line));
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
    };
    open.add(response);
    response.on('close', () => {
      unsubscribe();
      open.delete(response);
    });
  });
}

const textOf = (line: WireNews): string => `${JSON.stringify(line)}\n`;

/** A process that cannot take in what it missed would come back for it for ever. */
function textOfMissed(lines: readonly WireNews[]): string {
  const text = lines.map(textOf).join('');
  const newest = lines.at(-1);
  return newest && Buffer.byteLength(text) > MAX_MISSED_BYTES
    ? textOf({ sequence: newest.sequence, reset: true })
    : text;
}

/** Ids name nobody; a spec may name a patient, so it goes only to who may have such keys. */
function concerning(caller: RemoteCaller, line: WireNews, now: Date): WireNews {
  const specs = line.specs?.filter((spec) => mayUse(caller, 'protect', spec, now));
  return specs === undefined ? line : { ...line, specs };
}

function readAfter(query: unknown): number | undefined {
  const { after, ...others } = query as { after?: unknown };
  if (Object.keys(others).length > 0) throw new KeywardError('KEYS_REQUEST_INVALID');
  if (after === undefined) return undefined;
  if (typeof after === 'string' && /^\d{1,15}$/.test(after)) return Number(after);
  throw new KeywardError('KEYS_REQUEST_INVALID');
}
