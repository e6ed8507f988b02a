/** Reads and parses the body; one that cannot be parsed is refused, never passed through. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError, parseJson } from '../../core/index.ts';
import { binaryOf, isRawBinaryWrite, mediaTypeOf } from '../binary.ts';
import type { Exchange } from '../exchange.ts';
import { parseForm } from './admit.ts';

const JSON_TYPES: ReadonlySet<string> = new Set(['application/fhir+json', 'application/json']);
/** A search is a question, not a document. */
const MAX_FORM_BYTES = 64 * 1024;
const FORM_TYPE = 'application/x-www-form-urlencoded';

export async function readJsonBody(exchange: Exchange): Promise<void> {
  if (exchange.body !== undefined) return;
  exchange.body = isRawBinaryWrite(exchange)
    ? binaryOf(exchange, await readBytes(exchange))
    : await readTyped(exchange, JSON_TYPES);
}

/** @throws KeywardError `GATEWAY_CONTENT_TYPE` and as parsing does */
export async function readTyped(exchange: Exchange, types: ReadonlySet<string>): Promise<Json> {
  assertContentType(exchange, types);
  return parseJson(await readBytes(exchange));
}

async function readBytes({ incoming, gateway }: Exchange): Promise<Buffer> {
  const bytes = await incoming.readBody(gateway.maxBodyBytes);
  if (bytes.length === 0) throw new KeywardError('GATEWAY_BODY_MISSING');
  return bytes;
}

/** Of an operation: none of its parameters is needed, and in a URL they come without a body. */
export async function readParameters(exchange: Exchange): Promise<void> {
  if (exchange.incoming.method !== 'POST' || exchange.body !== undefined) return;
  const bytes = await exchange.incoming.readBody(MAX_FORM_BYTES);
  if (bytes.length === 0) return;
  assertContentType(exchange, JSON_TYPES);
  exchange.body = parseJson(bytes);
}

export async function readForm(exchange: Exchange): Promise<void> {
  if (!exchange.route.form) return;
  const bytes = await exchange.incoming.readBody(MAX_FORM_BYTES);
  if (bytes.length > 0) assertContentType(exchange, new Set([FORM_TYPE]));
  exchange.form = parseForm(bytes);
}

function assertContentType({ incoming }: Exchange, allowed: ReadonlySet<string>): void {
  const header = incoming.headers['content-type'];
  const parameters = (header ?? '')
    .split(';')
    .slice(1)
    .map((part) => part.trim().toLowerCase());
  const utf8 = parameters.every(
    (parameter) => !parameter.startsWith('charset=') || /^charset="?utf-8"?$/.test(parameter),
  );
  if (!allowed.has(mediaTypeOf(header)) || !utf8) throw new KeywardError('GATEWAY_CONTENT_TYPE');
}
