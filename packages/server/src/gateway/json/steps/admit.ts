/** Steps 2 and 4: what the wire may look like at all, and which described operation it is. */
import { KeywardError } from '../../../core/index.ts';
import { admitWire } from '../../steps/admit.ts';
import type { ApiExchange, Asked } from '../exchange.ts';

/** Headers that would change what a request means; none is ignored. */
const UNSUPPORTED_HEADERS = [
  'if-none-exist',
  'x-http-method-override',
  'x-original-url',
  'x-rewrite-url',
  'content-range',
];
/** On a read they only ask to be spared the body, which a server may ignore; on a write they are a condition. */
const WRITE_CONDITIONS = ['if-none-match', 'if-modified-since', 'if-unmodified-since'];
const ACCEPTS_JSON = /(?:^|,)\s*(?:\*\/\*|application\/(?:\*|(?:[a-z0-9.-]+\+)?json))\s*(?:;|,|$)/i;
const FORM_SUFFIX = '/_search';

export function admitToApi(exchange: ApiExchange): void {
  const { api, incoming } = exchange;
  const { path, query } = admitWire(exchange, 'API_PARAM_INVALID');
  exchange.query = query;
  const { accept } = incoming.headers;
  if (accept !== undefined && !ACCEPTS_JSON.test(accept)) throw new KeywardError('GATEWAY_NOT_ACCEPTABLE');
  const below = path.slice(api.prefix.length).replace(/\/$/, '') || '/';
  const { operations } = api.map;
  const described = operationAt(operations, incoming.method, below);
  const searched =
    incoming.method === 'POST' && below.endsWith(FORM_SUFFIX) && !described?.operation.name.endsWith(FORM_SUFFIX)
      ? operationAt(operations, 'GET', below.slice(0, -FORM_SUFFIX.length))
      : undefined;
  const form = searched?.operation.interaction === 'search';
  const asked = form ? searched : described;
  if (!asked) return;
  exchange.asked = asked;
  const { interaction, type, pathParameters, name } = asked.operation;
  const id = name.endsWith('}') ? (asked.pathValues[pathParameters.at(-1) ?? ''] ?? '') : '';
  exchange.route = { name: interaction, type: `${api.name}:${type}`, id, form };
}

function operationAt(operations: readonly Asked['operation'][], method: string, path: string): Asked | undefined {
  for (const operation of operations) {
    const match = operation.method === method ? operation.pattern.exec(path) : null;
    if (!match) continue;
    const values = operation.pathParameters.map((name, index): [string, string] => [name, match[index + 1] ?? '']);
    return { operation, path, pathValues: Object.fromEntries(values) };
  }
  return undefined;
}

export function refuseUndescribed({ asked, incoming }: ApiExchange): void {
  if (!asked) throw new KeywardError('API_OPERATION_UNKNOWN');
  const refused = incoming.method === 'GET' ? UNSUPPORTED_HEADERS : [...UNSUPPORTED_HEADERS, ...WRITE_CONDITIONS];
  const header = refused.find((name) => incoming.headers[name] !== undefined);
  if (header) throw new KeywardError('GATEWAY_HEADER_REFUSED', { detail: `Header ${header} is not supported.` });
}
