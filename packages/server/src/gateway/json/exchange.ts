/** One request to a JSON API on its way through the pipeline. */
import type { Json } from '@keyward/sdk/seal';
import { newUuid } from '../../core/index.ts';
import type { Principal } from '../../identity/index.ts';
import type {
  BodyRule,
  JsonApiMap,
  JsonInteraction,
  JsonOpenPlan,
  JsonOperation,
  JsonSealPlan,
} from '../../phi/index.ts';
import type { Audited } from '../audit.ts';
import type { Gateway, Incoming, Reply } from '../exchange.ts';
import type { AccessPolicy, Decision } from '../policy.ts';
import type { Upstream, UpstreamAnswer } from '../upstream.ts';

/** A JSON API behind the gateway, as it is configured and described. */
export interface ServedApi {
  readonly name: string;
  /** First segment of its paths, e.g. `/crm`. */
  readonly prefix: string;
  readonly map: JsonApiMap;
  readonly policy: AccessPolicy;
  readonly upstream: Upstream;
  /** Operations whose bodies may pass without a schema. */
  readonly allowUnmappedPlaintextRequests: ReadonlySet<string>;
  readonly allowUnmappedPlaintextResponses: ReadonlySet<string>;
}

export const API_ROUTE_NAMES = ['read', 'search', 'create', 'update', 'delete', 'undescribed'] as const;

interface ApiRoute {
  readonly name: JsonInteraction | 'undescribed';
  /** `crm:Member`; '' when the API describes no such operation. */
  readonly type: string;
  /** Last path parameter where the path ends with it. */
  readonly id: string;
  /** Parameters arrive in the body (`_search`). */
  readonly form: boolean;
}

/** The operation that was asked for. */
export interface Asked {
  readonly operation: JsonOperation;
  /** Below the prefix, as the upstream gets it. */
  readonly path: string;
  readonly pathValues: Readonly<Record<string, string>>;
}

/** An answer that was recognised. */
export interface Recognised {
  readonly rule: BodyRule | undefined;
  readonly body: Json | undefined;
  /** Of a body with a schema. */
  readonly plan: JsonOpenPlan | undefined;
}

export interface ApiExchange extends Audited {
  readonly api: ServedApi;
  route: ApiRoute;
  asked: Asked | undefined;
  query: URLSearchParams;
  form: URLSearchParams | undefined;
  principal: Principal | undefined;
  decision: Decision | undefined;
  body: Json | undefined;
  sealPlan: JsonSealPlan | undefined;
  /** Subject scopes of what is written, by what the API calls the subjects. */
  scopes: ReadonlyMap<string, string>;
  /** For the upstream, as it gave it out. */
  ifMatch: string | undefined;
  /** Query for the upstream, identifying values replaced. */
  upstreamQuery: string;
  outgoing: { readonly mediaType: string; readonly body: string } | undefined;
  answer: UpstreamAnswer | undefined;
  recognised: Recognised | undefined;
  /** As the caller sees it. */
  shown: { readonly body: Json | undefined; readonly narrowed: boolean; readonly etag: string | undefined } | undefined;
  reply: Reply | undefined;
}

export const newApiExchange = (gateway: Gateway, api: ServedApi, incoming: Incoming): ApiExchange => ({
  gateway,
  api,
  correlationId: newUuid(),
  incoming,
  operations: [],
  targets: [],
  route: { name: 'undescribed', type: '', id: '', form: false },
  asked: undefined,
  query: new URLSearchParams(),
  form: undefined,
  principal: undefined,
  decision: undefined,
  body: undefined,
  sealPlan: undefined,
  scopes: new Map(),
  ifMatch: undefined,
  upstreamQuery: '',
  outgoing: undefined,
  answer: undefined,
  recognised: undefined,
  shown: undefined,
  reply: undefined,
});

export type ApiStep = (exchange: ApiExchange) => void | Promise<void>;
