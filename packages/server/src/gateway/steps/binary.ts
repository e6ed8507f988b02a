/** Step 15 of reading a Binary in its native form: bytes to be saved, never to be shown as a page of ours. */
import { KeywardError } from '../../core/index.ts';
import { isSubsetted } from '../../phi/index.ts';
import { asksForContent, contentOf } from '../binary.ts';
import { type Exchange, known } from '../exchange.ts';
import { metaOf } from '../results.ts';
import { cacheHeaders } from './reply.ts';

export function replyContent(exchange: Exchange): void {
  if (!asksForContent(exchange)) return;
  const opened = known(known(exchange.findings[0], 'finding').opened, 'opened resource');
  // Part of a file, or a masked one, would pass for the whole.
  if (isSubsetted(opened))
    throw new KeywardError('ACCESS_DENIED', { detail: 'The content is withheld from this role.' });
  const { type, bytes, securityContext } = contentOf(opened, exchange.incoming.headers.accept);
  const meta = metaOf(opened);
  exchange.reply = {
    status: 200,
    headers: {
      ...cacheHeaders(meta.versionId ?? '', meta.lastUpdated),
      'content-type': type,
      'content-disposition': 'attachment',
      ...(securityContext === undefined ? {} : { 'x-security-context': securityContext }),
    },
    body: undefined,
    bytes,
  };
}
