/** Step 10: the upstream; what it refused is told in words of ours. */
import { asKeywardError, type ErrorCode, KeywardError } from '../../../core/index.ts';
import { known } from '../../exchange.ts';
import type { ApiExchange } from '../exchange.ts';

/** The upstream's client speaks of FHIR. */
const CODES: Readonly<Partial<Record<ErrorCode, ErrorCode>>> = {
  FHIR_NOT_FOUND: 'API_NOT_FOUND',
  FHIR_GONE: 'API_NOT_FOUND',
  FHIR_CONFLICT: 'API_CONFLICT',
  FHIR_PRECONDITION: 'API_PRECONDITION',
  FHIR_UPSTREAM_REFUSED: 'API_UPSTREAM_REFUSED',
  GATEWAY_UPSTREAM_INVALID: 'API_RESPONSE_INVALID',
  GATEWAY_UPSTREAM_UNAVAILABLE: 'API_UNAVAILABLE',
  GATEWAY_UPSTREAM_BUSY: 'API_BUSY',
};

export async function forwardToApi(exchange: ApiExchange): Promise<void> {
  const { api, asked, outgoing, upstreamQuery, ifMatch, correlationId } = exchange;
  const { operation, path } = known(asked, 'operation');
  try {
    exchange.answer = await api.upstream.request({
      method: operation.method,
      path: upstreamQuery === '' ? path : `${path}?${upstreamQuery}`,
      headers: {
        accept: 'application/json',
        'x-correlation-id': correlationId,
        ...(outgoing ? { 'content-type': outgoing.mediaType } : {}),
        ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
      },
      body: outgoing?.body,
    });
  } catch (thrown) {
    const { code } = asKeywardError(thrown);
    const own = CODES[code];
    throw own ? new KeywardError(own, { cause: thrown }) : thrown;
  }
}
