/** One request on its way through the pipeline: what is known of it so far. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Json, SealEngine } from '@keyward/sdk/seal';
import type { KeyService } from '@keyward/sdk/client';
import { type AuditSink, type Clock, type Log, newUuid } from '../core/index.ts';
import type { Principal, TokenVerifier } from '../identity/index.ts';
import type { FhirResource } from '../phi/index.ts';
import type { AccessPolicy, Decision } from './policy.ts';
import type { Route } from './routes.ts';
import type { SearchPlan } from './search.ts';
import type { SubjectScopes } from './subjects.ts';
import type { Upstream, UpstreamAnswer, UpstreamRequest } from './upstream.ts';

/** What all requests share. */
export interface Gateway {
  readonly tenant: string;
  /** FHIR base as clients see it, e.g. `https://localhost:8443/fhir`. */
  readonly publicBase: string;
  readonly maxBodyBytes: number;
  readonly policy: AccessPolicy;
  readonly verifier: TokenVerifier;
  readonly keys: KeyService;
  readonly engine: SealEngine;
  readonly upstream: Upstream;
  readonly subjects: SubjectScopes;
  readonly audit: AuditSink;
  readonly clock: Clock;
  readonly log: Log;
}

/** The request as it came in. */
export interface Incoming {
  readonly method: string;
  /** Request target as sent. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values alternating, as sent. */
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
  /** @throws KeywardError `GATEWAY_BODY_TOO_LARGE`. */
  readBody(maxBytes: number): Promise<Buffer>;
}

/** One write: the whole request, or one entry of a transaction. */
export interface WriteOperation {
  readonly interaction: 'create' | 'update' | 'delete';
  readonly type: string;
  /** '' for a create. */
  readonly id: string;
  /** As the client sent it; undefined for a delete. */
  readonly resource: FhirResource | undefined;
  /** `urn:uuid:…` of the transaction entry, or '' . */
  readonly fullUrl: string;
  readonly ifMatch: string | undefined;
  readonly decision: Decision;
  /** Set by the seal step. */
  scope?: string;
}

/** One resource that came back and may be shown in part. */
export interface Finding {
  readonly resource: FhirResource;
  readonly decision: Decision;
  /** Set by the open step. */
  opened?: FhirResource;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Json | undefined;
}

export interface Exchange {
  readonly gateway: Gateway;
  readonly correlationId: string;
  readonly incoming: Incoming;
  /** An entry of a batch, which may not be a bundle itself. */
  readonly inBatch: boolean;
  route: Route;
  /** Decoded query of the target. */
  query: URLSearchParams;
  principal: Principal | undefined;
  decision: Decision | undefined;
  /** Parsed JSON body, or the form of a `_search`. */
  body: Json | undefined;
  form: URLSearchParams | undefined;
  operations: WriteOperation[];
  /** `Type` or `Type/id` of what a transaction wants to write, known before it is authorised. */
  targets: string[];
  search: SearchPlan | undefined;
  outgoing: UpstreamRequest | undefined;
  answer: UpstreamAnswer | undefined;
  findings: Finding[];
  /** Subject scopes and key ids that the ledger entries of this request name. */
  readonly subjects: Set<string>;
  reply: Reply | undefined;
}

/** A request of which nothing is known yet; an entry of a batch brings the principal and the id of its batch. */
export function newExchange(
  gateway: Gateway,
  incoming: Incoming,
  batch?: Pick<Exchange, 'correlationId' | 'principal'>,
): Exchange {
  return {
    gateway,
    correlationId: batch?.correlationId ?? newUuid(),
    incoming,
    inBatch: batch !== undefined,
    route: { name: 'unsupported', type: '', id: '', version: '', form: false },
    query: new URLSearchParams(),
    principal: batch?.principal,
    decision: undefined,
    body: undefined,
    form: undefined,
    operations: [],
    targets: [],
    search: undefined,
    outgoing: undefined,
    answer: undefined,
    findings: [],
    subjects: new Set(),
    reply: undefined,
  };
}

/** A step looks at the exchange, adds to it, or throws a coded error. */
export type Step = (exchange: Exchange) => void | Promise<void>;

/** What an earlier step of the pipeline must have set; its absence is a defect, and nothing is served. */
export function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`pipeline: ${what} is not known yet`);
  return value;
}
