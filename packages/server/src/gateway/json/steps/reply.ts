/** Steps 14 and 15: what was opened, with headers that forbid storing; of the upstream's headers only ETag and Location, in our words. */
import { known } from '../../exchange.ts';
import type { ApiExchange } from '../exchange.ts';

export function replyFromApi(exchange: ApiExchange): void {
  const { status, headers } = known(exchange.answer, 'answer');
  const { body, narrowed, etag } = known(exchange.shown, 'shown body');
  const location = status === 201 ? publicLocation(exchange, headers['location']) : undefined;
  exchange.reply = {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(etag === undefined ? {} : { etag }),
      ...(location === undefined ? {} : { location }),
      ...(narrowed ? { 'keyward-subsetted': 'true' } : {}),
    },
    body,
  };
}

/** Only where an operation of the API is: another address is not told. */
function publicLocation({ api }: ApiExchange, location: string | string[] | undefined): string | undefined {
  const base = new URL(`${api.upstream.base}/`);
  const url = typeof location === 'string' ? URL.parse(location, base) : null;
  const prefix = base.pathname.slice(0, -1);
  if (!url || url.origin !== base.origin || url.search !== '' || !url.pathname.startsWith(`${prefix}/`))
    return undefined;
  const path = url.pathname.slice(prefix.length);
  return api.map.operations.some(({ pattern }) => pattern.test(path)) ? api.prefix + path : undefined;
}
