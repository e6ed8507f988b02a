/** Reads and parses the body; one that is not wanted, or not described as JSON, is refused. */
import { KeywardError, parseJson } from '../../../core/index.ts';
import { known } from '../../exchange.ts';
import { parseForm } from '../../steps/admit.ts';
import type { ApiExchange } from '../exchange.ts';

/** A search is a question, not a document. */
const MAX_FORM_BYTES = 64 * 1024;
const FORM_TYPE = 'application/x-www-form-urlencoded';

export function refuseBody({ incoming }: Pick<ApiExchange, 'incoming'>): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = incoming.headers;
  if (length !== '0' || encoding !== undefined)
    throw new KeywardError('API_BODY_INVALID', { detail: 'This operation takes no body.' });
}

export async function readSearchForm(exchange: ApiExchange): Promise<void> {
  const { route, query, incoming } = exchange;
  if (!route.form) return refuseBody(exchange);
  if (query.size > 0)
    throw new KeywardError('API_PARAM_UNSUPPORTED', { detail: 'With _search they stand in the body.' });
  assertContentType(exchange, FORM_TYPE);
  exchange.form = parseForm(await incoming.readBody(MAX_FORM_BYTES), 'API_PARAM_INVALID');
}

export async function readApiBody(exchange: ApiExchange): Promise<void> {
  const { asked, api, incoming, gateway } = exchange;
  const { request, name } = known(asked, 'operation').operation;
  if (!request) return refuseBody(exchange);
  if (request.kind === 'unsupported') throw new KeywardError('API_CONTENT_TYPE');
  if (request.kind === 'unmapped' && !api.allowUnmappedPlaintextRequests.has(name))
    throw new KeywardError('API_BODY_UNMAPPED');
  assertContentType(exchange, request.mediaType);
  const bytes = await incoming.readBody(gateway.maxBodyBytes);
  if (bytes.length === 0) throw new KeywardError('GATEWAY_BODY_MISSING');
  exchange.body = parseJson(bytes);
}

function assertContentType({ incoming }: ApiExchange, wanted: string): void {
  const [type, ...parameters] = (incoming.headers['content-type'] ?? '')
    .split(';')
    .map((part) => part.trim().toLowerCase());
  // RFC 9110 §5.6.6: a semicolon may stand there with nothing behind it.
  const utf8 = parameters.every((parameter) => /^$|^charset="?utf-8"?$/.test(parameter));
  if (type !== wanted || !utf8) throw new KeywardError('API_CONTENT_TYPE', { detail: `Send ${wanted}.` });
}
