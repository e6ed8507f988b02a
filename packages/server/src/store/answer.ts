/** From one HTTP request to its reply: FHIR below `/`, and what the store tells about itself. */
import type { IncomingMessage } from 'node:http';
import { KeywardError, parseJson } from '../core/index.ts';
import { atRest } from './at-rest.ts';
import { Bodies } from './bodies.ts';
import { asResource } from './bundle-entries.ts';
import { processBundle } from './bundles.ts';
import { capabilityStatement } from './capabilities.ts';
import { readBody } from './http.ts';
import { INTERACTIONS, type Reply } from './interactions.ts';
import { Repository } from './repository.ts';
import { routeOf } from './routes.ts';
import { criteriaOf } from './conditional.ts';
import { openSession, type Session } from './session.ts';
import type { JsonObject, StoreDependencies } from './types.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly correlationId: string;
  /** What absolute links begin with. */
  readonly base: string;
}

/** Deeper than what a client may send: the gateway adds extensions, and bundles wrap resources. */
const BODY_LIMITS = { maxDepth: 96 };

/** @throws KeywardError */
export async function answer(exchange: Exchange, dependencies: StoreDependencies): Promise<Reply> {
  const { method, url = '/' } = exchange.request;
  const target = url.replace(/^\//, '');
  const session = openSession(dependencies.pool);
  for (const [pattern, show] of method === 'GET' ? OWN_PAGES : []) {
    const groups = pattern.exec(target);
    if (groups) return { status: 200, body: JSON.stringify(await show(session, dependencies, groups)) };
  }
  const { keys, tenant, clock } = dependencies;
  const repository = new Repository(session, new Bodies(keys, tenant, exchange.correlationId), clock);
  const isBundle = method === 'POST' && target === '';
  return isBundle ? bundle(exchange, repository) : interaction(exchange, target, repository);
}

type OwnPage = (
  session: Session,
  dependencies: StoreDependencies,
  groups: readonly (string | undefined)[],
) => Promise<JsonObject>;

const OWN_PAGES: readonly (readonly [path: RegExp, show: OwnPage])[] = [
  [/^healthz$/, async (session) => (await session.query({ text: 'SELECT 1', values: [] }), { status: 'ok' })],
  [/^metadata$/, async (_session, { clock }) => capabilityStatement(clock.now())],
  [
    /^_at-rest\/([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9.-]{1,64})$/,
    (session, _dependencies, [, type = '', id = '']) => atRest(session, type, id),
  ],
];

async function bundle({ request, base }: Exchange, repository: Repository): Promise<Reply> {
  const resource = asResource(parseJson(await readBody(request), BODY_LIMITS));
  if (!resource) throw new KeywardError('FHIR_BUNDLE_INVALID');
  return { status: 200, body: JSON.stringify(await processBundle(resource, repository, base)) };
}

const SEARCH_BY_FORM = /^[A-Za-z]+\/_search(?:\?|$)/;

/** Conditions the store does not know; a write that ignored one would do what its sender excluded. */
const UNSUPPORTED_CONDITIONS = ['if-none-match', 'if-modified-since'];

async function interaction({ request, base }: Exchange, target: string, repository: Repository): Promise<Reply> {
  const { method = '', headersDistinct } = request;
  if (UNSUPPORTED_CONDITIONS.some((name) => headersDistinct[name]))
    throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED');
  const bytes = await readBody(request);
  const isForm = method === 'POST' && SEARCH_BY_FORM.test(target);
  const { name, ...route } = routeOf(method, target, isForm ? bytes.toString() : '');
  const resource = isForm || bytes.length === 0 ? undefined : asResource(parseJson(bytes, BODY_LIMITS));
  const ifMatch = only(headersDistinct['if-match']);
  const criteria = criteriaOf(name, route.type, only(headersDistinct['if-none-exist']));
  return INTERACTIONS[name]({ ...route, ifMatch, criteria, base, resource }, repository);
}

/** Node joins a repeated header with commas. */
function only(values: readonly string[] | undefined): string | undefined {
  if (values && values.length > 1) throw new KeywardError('GATEWAY_HEADER_REFUSED');
  return values?.[0];
}
