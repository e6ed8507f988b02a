/** Step 2: what the wire may look like at all: path in normal form, no doubled headers, a body within limits, JSON accepted. */
import { KeywardError } from '../../core/index.ts';
import { assertKnownType, routeOf } from '../routes.ts';
import type { Exchange } from '../exchange.ts';

export const FHIR_PREFIX = '/fhir';

/** Headers that must not come twice: two readers could take different ones. */
const SINGLE_HEADERS = new Set([
  'authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'host',
  'if-match',
  'prefer',
]);
/** Headers that would change what a request means, and are refused by name instead of being ignored. */
const UNSUPPORTED_HEADERS = ['if-none-exist', 'x-http-method-override', 'x-original-url', 'x-rewrite-url'];
/** On a read they only ask to be spared the body, which a server may ignore; on a write they are a condition. */
const WRITE_CONDITIONS = ['if-none-match', 'if-modified-since', 'if-unmodified-since'];

export function admit(exchange: Exchange): void {
  const { incoming, gateway } = exchange;
  const [path, queryText] = splitTarget(incoming.target);
  assertNormalPath(path);
  assertSingleHeaders(incoming.rawHeaders);
  assertJsonAccepted(incoming.headers.accept);
  if (Number(incoming.headers['content-length'] ?? 0) > gateway.maxBodyBytes)
    throw new KeywardError('GATEWAY_BODY_TOO_LARGE');
  if (incoming.headers['content-encoding'] !== undefined)
    throw new KeywardError('GATEWAY_CONTENT_TYPE', { detail: 'Send the body without content encoding.' });
  exchange.query = parseParameters(queryText ?? '');
  exchange.route = routeOf(incoming.method, path.slice(FHIR_PREFIX.length).replace(/^\/|\/$/g, ''));
}

export function refuseUnsupported(exchange: Exchange): void {
  const { route, incoming } = exchange;
  if (route.name === 'unsupported') throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED');
  assertKnownType(route);
  const refused = incoming.method === 'GET' ? UNSUPPORTED_HEADERS : [...UNSUPPORTED_HEADERS, ...WRITE_CONDITIONS];
  const header = refused.find((name) => incoming.headers[name] !== undefined);
  if (header) throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED', { detail: `Header ${header}.` });
  const searching = route.name === 'search' || route.name === 'history';
  if (!searching || route.form)
    for (const name of exchange.query.keys()) assertResultFormat(name, exchange.query.get(name));
}

function assertResultFormat(name: string, value: string | null): void {
  if (name !== '_format' && name !== '_pretty')
    throw new KeywardError('FHIR_PARAM_UNSUPPORTED', { detail: 'A parameter in the URL of this interaction.' });
  if (name === '_format' && !/^(json|application\/(fhir\+)?json)$/.test(value ?? ''))
    throw new KeywardError('GATEWAY_NOT_ACCEPTABLE');
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
      throw new KeywardError('GATEWAY_HEADER_REFUSED', { detail: `Header ${name}.` });
    seen.add(name);
  }
}

function assertJsonAccepted(accept: string | undefined): void {
  if (accept === undefined) return;
  const types = accept.split(',').map((entry) => (entry.split(';')[0] ?? '').trim().toLowerCase());
  const json = ['*/*', 'application/*', 'application/json', 'application/fhir+json', 'text/json', ''];
  if (!types.some((type) => json.includes(type))) throw new KeywardError('GATEWAY_NOT_ACCEPTABLE');
}

/** @throws KeywardError `FHIR_PARAM_INVALID` when percent encoding is broken, which decoders would guess at. */
export function parseParameters(text: string): URLSearchParams {
  try {
    decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new KeywardError('FHIR_PARAM_INVALID', { detail: 'The percent encoding is not UTF-8.' });
  }
  return new URLSearchParams(text);
}
