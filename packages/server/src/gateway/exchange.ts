/** One request on its way through the pipeline: what is known of it so far. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Json, SealEngine } from '@keyward/sdk/seal';
import type { KeyService } from '@keyward/sdk/client';
import { type AuditSink, type Clock, type Log, newUuid } from '../core/index.ts';
import type { IssuerDiscovery, Principal, TokenVerifier } from '../identity/index.ts';
import type { Condition } from './conditional.ts';
import { createLoans, type KeyedLock, type Loans } from './keyed-lock.ts';
import type { Catalogue, FhirResource, Profiles } from '../phi/index.ts';
import type { PatchOperation } from './patch.ts';
import type { AccessPolicy, Decision } from './policy.ts';
import type { WriteResult } from './results.ts';
import type { Route } from './routes.ts';
import type { SearchPlan } from './search.ts';
import type { Shape } from './search/shape.ts';
import type { SubjectScopes } from './subjects.ts';
import type { Upstream, UpstreamAnswer, UpstreamRequest } from './upstream.ts';

/**
 * `refuse`: an unsealed record is shown to nobody; `backfill`: it is shown as if it were sealed, while it is being sealed;
 * `undo`: the same, while seals are taken off and nothing else is written.
 */
export type ExistingData = 'refuse' | 'backfill' | 'undo';

/** What all requests share. */
export interface Gateway {
  readonly tenant: string;
  /** FHIR base as clients see it, e.g. `https://localhost:8443/fhir`. */
  readonly publicBase: string;
  readonly maxBodyBytes: number;
  /** What becomes of records that stood at the upstream unsealed. */
  readonly existingData: ExistingData;
  readonly policy: AccessPolicy;
  readonly profiles: Profiles;
  /** What is sealed, and how. */
  readonly catalogue: Catalogue;
  readonly verifier: TokenVerifier;
  readonly issuer: IssuerDiscovery;
  readonly keys: KeyService;
  readonly engine: SealEngine;
  readonly upstream: Upstream;
  readonly subjects: SubjectScopes;
  /** Writers that depend on what the others find: one at a time per condition or record, within this process. */
  readonly writers: KeyedLock;
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
  /** Which resource is meant, or that there must be none; gone once it is resolved. */
  readonly condition?: Condition | undefined;
  /** Key of the condition that nothing fulfilled: what is created now will. */
  readonly unmatched?: string | undefined;
  /** Blind criteria for the upstream's own If-None-Exist: a second guard against writers outside this process. */
  readonly guard?: string | undefined;
  /** Its condition left nothing to send: what there is to say of it. */
  readonly settled?: Settled | undefined;
  /** Set by the seal step. */
  scope?: string;
}

/** What became of a write without sending it. */
interface Settled {
  readonly result: WriteResult;
  /** Still sealed; undefined when there is none. */
  readonly existing: FhirResource | undefined;
}

/** One resource that came back and may be shown in part. */
export interface Finding {
  /** As it came from the upstream, whole: its proof is over all of it. */
  readonly resource: FhirResource;
  /** What of it is opened; all of it unless it is set. */
  readonly part?: FhirResource;
  readonly decision: Decision;
  /** It came along with what was asked for (`_include`, `$everything`). */
  readonly included?: true;
  /** It is of the caller's patient alone. Somebody limited to one patient has nothing else opened. */
  readonly own?: true;
  /** Set by the open step. */
  opened?: FhirResource;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Json | undefined;
  /** Instead of a body: content of the type that the headers name. */
  readonly bytes?: Buffer;
  /** Instead of a body: text that is made while it is sent. What fails on the way breaks the connection off, so that no part looks whole. */
  readonly stream?: AsyncIterable<string>;
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
  /** Of a patch. */
  patch: readonly PatchOperation[] | undefined;
  /** Conditional references of a transaction (`Practitioner?identifier=…`), and the reference each stands for. */
  references: ReadonlyMap<string, string>;
  /** What `gateway.writers` lent; given back when the request ends, however it ends. */
  readonly loans: Loans;
  search: SearchPlan | undefined;
  /** Which parts of what comes back are opened and shown; undefined: all that the decision opens. */
  shape: Shape | undefined;
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
    patch: undefined,
    references: new Map(),
    loans: createLoans(gateway.writers),
    search: undefined,
    shape: undefined,
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
