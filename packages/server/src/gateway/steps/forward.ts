/** Step 10: the upstream. */
import { KeywardError } from '../../core/index.ts';
import { ask } from '../ask.ts';
import { type Exchange, known } from '../exchange.ts';
import { nothingToSend } from '../results.ts';
import { readShape } from '../search/shape.ts';

export async function forward(exchange: Exchange): Promise<void> {
  exchange.answer = await ask(exchange, known(exchange.outgoing, 'outgoing request'));
}

/** A write of which conditions left nothing is not sent. */
export async function forwardWrite(exchange: Exchange): Promise<void> {
  if (nothingToSend(exchange)) return;
  try {
    await forward(exchange);
  } catch (error) {
    throw refusedByGuard(exchange, error) ? new KeywardError('FHIR_MULTIPLE_MATCHES', { cause: error }) : error;
  }
}

/** 412 says either that a version is not the current one, or that several resources fulfil a condition (FHIR R4 §3.1.0.8.1). */
const refusedByGuard = ({ operations }: Exchange, error: unknown): boolean =>
  error instanceof KeywardError &&
  error.code === 'FHIR_PRECONDITION' &&
  operations.some(({ guard }) => guard !== undefined) &&
  operations.every(({ ifMatch }) => ifMatch === undefined);

export function planRead(exchange: Exchange): void {
  const { type, id, version } = exchange.route;
  exchange.shape = readShape(type, exchange.query);
  exchange.outgoing = { method: 'GET', path: version === '' ? `/${type}/${id}` : `/${type}/${id}/_history/${version}` };
}
