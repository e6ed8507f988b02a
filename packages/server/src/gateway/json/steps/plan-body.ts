/** Step 7: the body is as the API describes it, holds no marks of ours, touches only what its caller may write, and was not built on a partial view. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../../core/index.ts';
import { holdsMark, planJsonSeal } from '../../../phi/index.ts';
import { known } from '../../exchange.ts';
import type { ApiExchange } from '../exchange.ts';
import { authoriseObjects, refusePartialWrite } from '../written-objects.ts';

export function planBody(exchange: ApiExchange): void {
  const { asked, body } = exchange;
  const { operation, pathValues } = known(asked, 'operation');
  const { request } = operation;
  if (!request || body === undefined) return;
  if (request.kind !== 'mapped') return assertNoMarks(body);
  const fault = request.check(body);
  if (fault !== undefined) throw new KeywardError('API_BODY_INVALID', { detail: `${fault}.` });
  exchange.sealPlan = planJsonSeal({
    node: request.node,
    body,
    type: operation.type,
    subject: operation.subject === undefined ? undefined : pathValues[operation.subject],
    addressed: Object.values(pathValues),
    partial: operation.method === 'PATCH',
  });
  authoriseObjects(exchange, exchange.sealPlan);
  if (operation.interaction === 'update') refusePartialWrite(exchange, exchange.sealPlan);
}

function assertNoMarks(value: Json): void {
  if (typeof value === 'string' && holdsMark(value)) throw new KeywardError('API_RESERVED_VALUE');
  if (value !== null && typeof value === 'object' && !JSON.isRawJSON(value))
    Object.values(value).forEach(assertNoMarks);
}
