/** ETags of an API: given out with a keyed proof behind them, so that no text of a client's own reaches the API as If-Match. */
import { timingSafeEqual } from 'node:crypto';
import { KeywardError } from '../../core/index.ts';
import { known } from '../exchange.ts';
import type { ApiExchange } from './exchange.ts';
import { fingerprints } from './fingerprints.ts';

/** RFC 9110 §8.8.3, short and without blanks. */
const ETAG = /^(W\/)?"([\w.:+/=-]{1,128})"$/;
/** As it was given out: the API's own, and the proof. */
const PROVED = /^(W\/)?"([\w.:+/=-]{1,128})\.([a-z2-7]{26})"$/;
const SUBSETTED = '-subsetted"';
const INDEX_PREFIX_CHARS = 'kwi1'.length;

/** Of the tag without `W/`, which proxies add. */
async function proofOf(exchange: ApiExchange, tag: string): Promise<string> {
  const proofs = await fingerprints(exchange, `urn:keyward:api-etag:${exchange.api.name}`, [tag]);
  return known(proofs.get(tag), 'proof').slice(INDEX_PREFIX_CHARS);
}

/** @param narrowed whether the view it belongs to has holes */
export async function shownEtag(exchange: ApiExchange, etag: unknown, narrowed: boolean): Promise<string | undefined> {
  const [, weak = '', tag] = (typeof etag === 'string' && ETAG.exec(etag)) || [];
  if (tag === undefined) return undefined;
  return `${weak}"${tag}.${await proofOf(exchange, tag)}${narrowed ? SUBSETTED : '"'}`;
}

/** @throws KeywardError `ACCESS_PARTIAL_WRITE` | `GATEWAY_HEADER_REFUSED` for a tag that was not given out for this API */
export async function checkIfMatch(exchange: ApiExchange): Promise<void> {
  const ifMatch = exchange.incoming.headers['if-match'];
  if (ifMatch === undefined) return;
  if (ifMatch.endsWith(SUBSETTED)) throw new KeywardError('ACCESS_PARTIAL_WRITE');
  const [, weak = '', tag, proof] = PROVED.exec(ifMatch) ?? [];
  if (tag === undefined || proof === undefined) throw refused();
  const expected = await proofOf(exchange, tag);
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(proof))) throw refused();
  exchange.ifMatch = `${weak}"${tag}"`;
}

const refused = () =>
  new KeywardError('GATEWAY_HEADER_REFUSED', { detail: 'If-Match takes one ETag that an answer of this API had.' });
