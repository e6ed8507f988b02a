/** `$keyward-backfill`: what stands at the upstream already is sealed, sealed anew or unsealed in place, a page at a time. */
import type { Json } from '@keyward/sdk/seal';
import { asKeywardError, KeywardError } from '../../core/index.ts';
import { asBundle, asResource } from '../answers.ts';
import { ask, upstreamPath } from '../ask.ts';
import { type BackfillOrder, readOrder } from '../backfill/order.ts';
import { type PageReport, workOn } from '../backfill/work.ts';
import { openCursor, sealCursor } from '../cursor.ts';
import { type Exchange, known } from '../exchange.ts';
import type { UpstreamAnswer } from '../upstream.ts';

export async function backfill(exchange: Exchange): Promise<void> {
  const order = readOrder(exchange.body);
  authoriseOrder(exchange, order);
  const bundle = asBundle((await readPage(exchange, order)).body);
  const records = (bundle.entry ?? [])
    .flatMap(({ resource }) => (resource === undefined ? [] : [asResource(resource as Json)]))
    .filter(({ resourceType }) => resourceType === order.type);
  const report = await workOn(exchange, order, records);
  const next = bundle.link?.find(({ relation }) => relation === 'next');
  const page = next && (await sealCursor(exchange, upstreamPath(exchange, next.url), undefined));
  exchange.reply = { status: 200, headers: {}, body: parametersOf(report, page) };
}

/** A write would be sealed, and unsealed by nobody. */
export function refuseWhileUndoing({ gateway }: Exchange): void {
  if (gateway.existingData === 'undo') throw new KeywardError('GATEWAY_UNDO_ON');
}

function authoriseOrder(exchange: Exchange, { mode, type }: BackfillOrder): void {
  const { gateway, principal } = exchange;
  exchange.targets = [type];
  exchange.decision = gateway.policy.decide(known(principal, 'principal'), 'backfill', type);
  if (exchange.decision.patient !== undefined) throw new KeywardError('ACCESS_DENIED');
  const undoing = gateway.existingData === 'undo';
  if (mode === 'unseal' && !undoing) throw new KeywardError('GATEWAY_UNDO_OFF');
  if (mode !== 'unseal' && undoing) throw new KeywardError('GATEWAY_UNDO_ON');
}

/** By id where the upstream can sort so, since ids do not change while their records are written. */
async function readPage(exchange: Exchange, { type, count, page }: BackfillOrder): Promise<UpstreamAnswer> {
  if (page !== undefined) {
    const { path } = await openCursor(exchange, page);
    return ask(exchange, { method: 'GET', path });
  }
  try {
    return await firstPage(exchange, type, { _count: String(count), _sort: '_id' });
  } catch (thrown) {
    if (asKeywardError(thrown).code !== 'FHIR_UPSTREAM_REFUSED') throw thrown;
    return firstPage(exchange, type, { _count: String(count) });
  }
}

const firstPage = (exchange: Exchange, type: string, parameters: Record<string, string>) =>
  ask(exchange, {
    method: 'POST',
    path: `/${type}/_search`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(parameters).toString(),
  });

function parametersOf({ skipped, ...counts }: PageReport, page: string | undefined): Json {
  return {
    resourceType: 'Parameters',
    parameter: [
      ...Object.entries(counts).map(([name, valueInteger]) => ({ name, valueInteger })),
      ...skipped.map(({ reference, code }) => ({
        name: 'skipped',
        part: [
          { name: 'record', valueReference: { reference } },
          { name: 'code', valueCode: code },
        ],
      })),
      ...(page === undefined ? [] : [{ name: 'page', valueString: page }]),
    ],
  } satisfies Json;
}
