/** One file of an export as text: a page is permitted, recorded and opened before its first line leaves. */
import type { Exchange, Finding } from '../exchange.ts';
import { known } from '../exchange.ts';
import type { Decision } from '../policy.ts';
import { disclose } from '../steps/disclose.ts';
import type { ExportFile } from './links.ts';
import { walk } from './walk.ts';

/** Lines are handed on in pieces of about this length, so that a slow client holds back no more than a page. */
const PIECE_CHARS = 64 * 1024;

/** One resource in a line (http://ndjson.org). */
export async function* ndjson(exchange: Exchange, file: ExportFile, decision: Decision): AsyncGenerator<string> {
  let recorded = false;
  for await (const page of walk(exchange, file)) {
    exchange.findings = page.map((resource): Finding => ({ resource, decision }));
    // A page without any is recorded once, so that a request that found nothing is in the ledger too.
    if (page.length > 0 || !recorded) await disclose(exchange);
    recorded = true;
    yield* pieces(exchange.findings);
  }
  // A group without members has no pages.
  if (!recorded) await disclose(exchange);
}

function* pieces(findings: readonly Finding[]): Generator<string> {
  let piece = '';
  for (const { opened } of findings) {
    piece += `${JSON.stringify(known(opened, 'opened resource'))}\n`;
    if (piece.length < PIECE_CHARS) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}
