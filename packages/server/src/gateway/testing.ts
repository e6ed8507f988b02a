/** For tests: a gateway with real keys, seals, rules and policy, over an upstream that the test is. */
import { createEngine, type SealEngine } from '@keyward/sdk/seal';
import { createMemoryKeys } from '../../../../test/support/memory-keys.ts';
import { type AuditEvent, systemClock } from '../core/index.ts';
import { createCatalogue } from '../phi/index.ts';
import { type Exchange, type Gateway, newExchange } from './exchange.ts';
import { createKeyedLock } from './keyed-lock.ts';
import { DEFAULT_POLICY, loadPolicy } from './policy.ts';
import { createSubjectScopes } from './subjects.ts';
import type { Upstream } from './upstream.ts';

export interface Bench {
  readonly exchange: () => Exchange;
  /** Tokens per call of the engine. */
  readonly openedAtOnce: number[];
  readonly recorded: AuditEvent[];
}

/** Requests of a clinician. Nothing here needs a token, an issuer, profiles or a log. */
export function createBench(request: Upstream['request']): Bench {
  const [openedAtOnce, recorded]: [number[], AuditEvent[]] = [[], []];
  const engine = createEngine();
  const counting: SealEngine = {
    ...engine,
    openMany(items) {
      openedAtOnce.push(items.length);
      return engine.openMany(items);
    },
  };
  const parts: Omit<Gateway, 'verifier' | 'issuer' | 'profiles' | 'log'> = {
    tenant: 'default',
    publicBase: 'https://localhost/fhir',
    maxBodyBytes: 1_000_000,
    existingData: 'refuse',
    policy: loadPolicy(DEFAULT_POLICY),
    catalogue: createCatalogue(),
    keys: createMemoryKeys(),
    engine: counting,
    upstream: { base: 'http://upstream/fhir', request, answers: async () => true, close: async () => {} },
    subjects: createSubjectScopes(),
    writers: createKeyedLock(1_000),
    audit: { record: async (events) => void recorded.push(...events) },
    clock: systemClock,
  };
  return { exchange: () => clinicians(parts as Gateway), openedAtOnce, recorded };
}

function clinicians(gateway: Gateway): Exchange {
  const exchange = newExchange(gateway, {
    method: 'POST',
    target: '/fhir/',
    headers: {},
    rawHeaders: [],
    remoteAddress: '127.0.0.1',
    readBody: () => Promise.reject(new Error('no body')),
  });
  exchange.principal = {
    sub: 's',
    role: 'clinician',
    scopes: ['user/*.cruds'],
    patient: undefined,
    purpose: 'TREAT',
    client: undefined,
    issuer: 'i',
    mfa: true,
    expiresAt: 0,
  };
  return exchange;
}
