/** How a request asks the upstream, and how it follows a link that the upstream gave. */
import { KeywardError } from '../core/index.ts';
import type { Exchange } from './exchange.ts';
import type { UpstreamAnswer, UpstreamRequest } from './upstream.ts';

export function ask({ gateway, correlationId }: Exchange, request: UpstreamRequest): Promise<UpstreamAnswer> {
  // The keys the built-in store asks for are then recorded under the same id.
  const headers = { ...request.headers, 'x-correlation-id': correlationId };
  return gateway.upstream.request({ ...request, headers });
}

/** Only where it points is taken from an upstream's link, never to which host. @throws KeywardError `GATEWAY_UPSTREAM_INVALID` */
export function upstreamPath({ gateway }: Exchange, link: string): string {
  const base = new URL(`${gateway.upstream.base}/`);
  const url = URL.parse(link, base);
  const prefix = base.pathname.slice(0, -1);
  if (!url || (url.pathname !== prefix && !url.pathname.startsWith(`${prefix}/`)))
    throw new KeywardError('GATEWAY_UPSTREAM_INVALID');
  return url.pathname.slice(prefix.length) + url.search;
}
