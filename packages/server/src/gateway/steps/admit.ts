/** Step 2: what the wire may look like at all: path in normal form, no doubled headers, a body within limits, JSON accepted. */
import { type ErrorCode, KeywardError } from '../../core/index.ts';
import { assertKnownType, FHIR_PREFIX, isJsonFormat, type RouteName, routeOf } from '../routes.ts';
import { asksForContent, isRawBinaryWrite } from '../binary.ts';
import type { Exchange } from '../exchange.ts';

/** Headers that must not come twice: two readers could take different ones. */
const SINGLE_HEADERS = new Set([
  'authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'host',
  'if-match',
  'if-none-exist',
  'prefer',
  'x-security-context',
]);
/** Headers that would change what a request means, and are refused by name instead of being ignored. */
const UNSUPPORTED_HEADERS = ['x-http-method-override', 'x-original-url', 'x-rewrite-url'];
/** On a read they only ask to be spared the body, which a server may ignore; on a write they are a condition. */
const WRITE_CONDITIONS = ['if-none-match', 'if-modified-since', 'if-unmodified-since'];

export function admit(exchange: Exchange): void {
  const { incoming } = exchange;
  const { path, query } = admitWire(exchange);
  exchange.query = query;
  exchange.route = routeOf(incoming.method, path.slice(FHIR_PREFIX.length).replace(/^\/|\/$/g, ''));
  if (!asksForContent(exchange))
    assertAccepted(incoming.headers.accept, exchange.route.name === 'exportFile' ? NDJSON_TYPES : JSON_TYPES);
}

/** What holds for every API, FHIR or not. @param invalid code of the KeywardError for a query that cannot be read */
export function admitWire(
  { incoming, gateway }: Pick<Exchange, 'incoming' | 'gateway'>,
  invalid: ErrorCode = 'FHIR_PARAM_INVALID',
): { readonly path: string; readonly query: URLSearchParams } {
  const [path, queryText] = splitTarget(incoming.target);
  assertNormalPath(path);
  assertSingleHeaders(incoming.rawHeaders);
  if (Number(incoming.headers['content-length'] ?? 0) > gateway.maxBodyBytes)
    throw new KeywardError('GATEWAY_BODY_TOO_LARGE');
  if (incoming.headers['content-encoding'] !== undefined)
    throw new KeywardError('GATEWAY_CONTENT_TYPE', { detail: 'Send the body without content encoding.' });
  return { path, query: parseParameters(queryText ?? '', invalid) };
}

/** Their own steps look at the parameters. */
const TAKE_PARAMETERS: ReadonlySet<RouteName> = new Set(['read', 'vread', 'history', 'search', 'everything', 'export']);

export function refuseUnsupported(exchange: Exchange): void {
  const { route, incoming } = exchange;
  if (route.name === 'unsupported') throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED');
  assertKnownType(route);
  const refused = [
    ...UNSUPPORTED_HEADERS,
    ...(incoming.method === 'GET' ? [] : WRITE_CONDITIONS),
    ...(route.name === 'create' ? [] : ['if-none-exist']),
    ...(isRawBinaryWrite(exchange) ? [] : ['x-security-context']),
  ];
  const header = refused.find((name) => incoming.headers[name] !== undefined);
  if (header) throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED', { detail: `Header ${header}.` });
  const takesParameters = TAKE_PARAMETERS.has(route.name);
  const conditional = (route.name === 'update' || route.name === 'delete') && route.id === '';
  const judged = conditional ? ['_format'].filter((name) => exchange.query.has(name)) : exchange.query.keys();
  if (!takesParameters || route.form) for (const name of judged) assertResultFormat(name, exchange.query.get(name));
}

function assertResultFormat(name: string, value: string | null): void {
  if (name !== '_format' && name !== '_pretty')
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'A parameter in the URL of this interaction.' });
  if (name === '_format' && !isJsonFormat(value ?? '')) throw new KeywardError('GATEWAY_NOT_ACCEPTABLE');
}

function splitTarget(target: string): [string, string | undefined] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, undefined] : [target.slice(0, mark), target.slice(mark + 1)];
}

/** FHIR paths need no more than these characters, so nothing encoded, no `;`, `\` or dot segment gets further (keycloak, gravitee). */
function assertNormalPath(path: string): void {
  const normal = /^(\/[A-Za-z0-9_$.-]+)*\/?$/.test(path) && !path.split('/').some((segment) => /^\.+$/.test(segment));
  if (!normal) throw new KeywardError('GATEWAY_PATH_REFUSED');
}

function assertSingleHeaders(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (SINGLE_HEADERS.has(name) && seen.has(name))
      throw new KeywardError('GATEWAY_HEADER_REFUSED', { detail: `Header ${name} comes twice.` });
    seen.add(name);
  }
}

const JSON_TYPES = ['*/*', 'application/*', 'application/json', 'application/fhir+json', 'text/json', ''];
/** FHIR Bulk Data Access 2.0, output format; a client may ask for FHIR as ever. */
const NDJSON_TYPES = [...JSON_TYPES, 'application/fhir+ndjson', 'application/ndjson', 'application/x-ndjson'];

function assertAccepted(accept: string | undefined, offered: readonly string[]): void {
  if (accept === undefined) return;
  const types = accept.split(',').map((entry) => (entry.split(';')[0] ?? '').trim().toLowerCase());
  if (!types.some((type) => offered.includes(type))) throw new KeywardError('GATEWAY_NOT_ACCEPTABLE');
}

/** @param invalid code of the KeywardError when percent encoding is broken, which decoders would guess at */
export function parseParameters(text: string, invalid: ErrorCode = 'FHIR_PARAM_INVALID'): URLSearchParams {
  try {
    decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new KeywardError(invalid, { detail: 'The percent encoding is not UTF-8.' });
  }
  return new URLSearchParams(text);
}

/** A form, in which clients write UTF-8 in percent encoding or as it is. */
export function parseForm(bytes: Uint8Array, invalid: ErrorCode = 'FHIR_PARAM_INVALID'): URLSearchParams {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new KeywardError(invalid, { detail: 'The form is not UTF-8.' });
  }
  return parseParameters(text, invalid);
}
