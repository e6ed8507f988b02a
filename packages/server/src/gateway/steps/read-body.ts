/** Reads and parses the body; one that cannot be parsed is refused, never passed through. */
import { KeywardError, parseJson } from '../../core/index.ts';
import type { Exchange } from '../exchange.ts';
import { parseParameters } from './admit.ts';

const JSON_TYPES = new Set(['application/fhir+json', 'application/json']);
/** A search is a question, not a document. */
const MAX_FORM_BYTES = 64 * 1024;
const FORM_TYPE = 'application/x-www-form-urlencoded';

export async function readJsonBody(exchange: Exchange): Promise<void> {
  if (exchange.body !== undefined) return;
  assertContentType(exchange, JSON_TYPES);
  const bytes = await exchange.incoming.readBody(exchange.gateway.maxBodyBytes);
  if (bytes.length === 0) throw new KeywardError('GATEWAY_BODY_MISSING');
  exchange.body = parseJson(bytes);
}

export async function readForm(exchange: Exchange): Promise<void> {
  if (!exchange.route.form) return;
  const bytes = await exchange.incoming.readBody(MAX_FORM_BYTES);
  if (bytes.length > 0) assertContentType(exchange, new Set([FORM_TYPE]));
  exchange.form = parseParameters(bytes.toString('latin1'));
}

function assertContentType({ incoming }: Exchange, allowed: ReadonlySet<string>): void {
  const [type = '', ...parameters] = (incoming.headers['content-type'] ?? '')
    .split(';')
    .map((part) => part.trim().toLowerCase());
  const utf8 = parameters.every(
    (parameter) => !parameter.startsWith('charset=') || /^charset="?utf-8"?$/.test(parameter),
  );
  if (!allowed.has(type) || !utf8) throw new KeywardError('GATEWAY_CONTENT_TYPE');
}
