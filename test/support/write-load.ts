/** A continuous load of writes through the gateway, whose fate the test remembers: acknowledged, refused, or broken off. */
import { setTimeout as sleep } from 'node:timers/promises';
import { newUuid } from '../../packages/server/src/core/index.ts';
import type { Answer, Product } from './product.ts';

/** Between two writes of one writer; longer where nothing listens. */
const PAUSE_MS = 10;
const BROKEN_PAUSE_MS = 50;
const POLL_MS = 10;

type Resource = { readonly resourceType: string; readonly [name: string]: unknown };

/** What the gateway said it has written, and what it was sent. */
export interface Written {
  /** `Type/id`. */
  readonly name: string;
  /** `Type/id/_history/version`. */
  readonly versionName: string;
  readonly sent: Resource;
}

export type Fate =
  | { readonly kind: 'acknowledged'; readonly correlationId: string; readonly written: readonly Written[] }
  | { readonly kind: 'refused'; readonly correlationId: string; readonly answer: Answer }
  | { readonly kind: 'broken'; readonly error: unknown };

export interface Attempt {
  /** A medical record number nobody else has: what a search for traces of this attempt asks for. */
  readonly number: string;
  readonly startedMs: number;
  readonly durationMs: number;
  readonly fate: Fate;
}

/** What one write sends. */
interface Sending {
  readonly path: string;
  readonly json: Resource;
  /** By position in the answer. */
  readonly resources: readonly Resource[];
}

export const NUMBER_SYSTEM = 'urn:example:crash-record-number';

const patient = (number: string): Resource => ({
  resourceType: 'Patient',
  identifier: [{ system: NUMBER_SYSTEM, value: number }],
  name: [{ family: `Family ${number}`, given: [`Given ${number}`] }],
  birthDate: '1970-01-31',
});

const observation = (number: string, subject: string): Resource => ({
  resourceType: 'Observation',
  status: 'final',
  identifier: [{ system: NUMBER_SYSTEM, value: number }],
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: subject },
  valueQuantity: { value: 72, unit: '/min' },
  note: [{ text: `Note ${number}` }],
});

const single = (json: Resource): Sending => ({ path: `/${json.resourceType}`, json, resources: [json] });

function transaction(number: string): Sending {
  const fullUrl = `urn:uuid:${newUuid()}`;
  const resources = [patient(number), observation(number, fullUrl)];
  const entry = resources.map((resource, index) => ({
    fullUrl: index === 0 ? fullUrl : `urn:uuid:${newUuid()}`,
    resource,
    request: { method: 'POST', url: resource.resourceType },
  }));
  return { path: '', json: { resourceType: 'Bundle', type: 'transaction', entry }, resources };
}

/** In turn; `known` is a patient whose creation was acknowledged. */
const SENDINGS: readonly ((number: string, known: string | undefined) => Sending)[] = [
  (number) => single(patient(number)),
  transaction,
  (number, known) => (known === undefined ? single(patient(number)) : single(observation(number, known))),
];

export class WriteLoad {
  readonly attempts: Attempt[] = [];
  readonly #product: Product;
  readonly #token: string;
  #lastPatient: string | undefined;
  #running = true;
  #writers: Promise<unknown> = Promise.resolve();

  constructor(product: Product, token: string) {
    this.#product = product;
    this.#token = token;
  }

  start(writers: number): void {
    this.#writers = Promise.all(Array.from({ length: writers }, (_, index) => this.#writeOn(index)));
  }

  /** Resolves when every write has met its fate. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#writers;
  }

  acknowledged(): { readonly correlationId: string; readonly written: readonly Written[] }[] {
    return this.attempts.flatMap(({ fate }) => (fate.kind === 'acknowledged' ? [fate] : []));
  }

  /** When the first of `count` new patients was acknowledged whose writing began after `sinceMs`; each needs a new key. */
  async untilPatients(sinceMs: number, count: number, timeoutMs: number): Promise<number> {
    for (const giveUpAt = performance.now() + timeoutMs; performance.now() < giveUpAt; await sleep(POLL_MS)) {
      const since = this.attempts.filter(({ fate, startedMs }) => startedMs > sinceMs && patientOf(fate) !== undefined);
      if (since.length >= count) return Math.min(...since.map(({ startedMs, durationMs }) => startedMs + durationMs));
    }
    throw new Error(`no ${count} new patients were acknowledged within ${timeoutMs} ms`);
  }

  async #writeOn(first: number): Promise<void> {
    let turn = first;
    while (this.#running) {
      const { kind } = await this.#write(turn++);
      await sleep(kind === 'broken' ? BROKEN_PAUSE_MS : PAUSE_MS);
    }
  }

  async #write(turn: number): Promise<Fate> {
    const number = newUuid();
    const sending = (SENDINGS[turn % SENDINGS.length] as (typeof SENDINGS)[number])(number, this.#lastPatient);
    const startedMs = performance.now();
    const fate = await this.#product
      .fhir({ path: sending.path, json: sending.json, token: this.#token })
      .then((answer) => fateOf(answer, sending))
      .catch((error: unknown): Fate => ({ kind: 'broken', error }));
    this.attempts.push({ number, startedMs, durationMs: performance.now() - startedMs, fate });
    this.#lastPatient = patientOf(fate) ?? this.#lastPatient;
    return fate;
  }
}

const patientOf = (fate: Fate): string | undefined =>
  fate.kind === 'acknowledged' ? fate.written.find(({ name }) => name.startsWith('Patient/'))?.name : undefined;

function fateOf(answer: Answer, { resources }: Sending): Fate {
  const correlationId = String(answer.headers['x-correlation-id']);
  if (answer.status !== 200 && answer.status !== 201) return { kind: 'refused', correlationId, answer };
  const entries = (answer.body['entry'] ?? []) as unknown as { response: { location: string } }[];
  const locations =
    entries.length > 0 ? entries.map(({ response }) => response.location) : [answer.headers['location']];
  return {
    kind: 'acknowledged',
    correlationId,
    written: resources.map((sent, index) => ({ ...namesOf(String(locations[index])), sent })),
  };
}

function namesOf(location: string): Pick<Written, 'name' | 'versionName'> {
  const [versionName, name] = /([A-Za-z]+\/[A-Za-z0-9.-]+)\/_history\/[A-Za-z0-9.-]+$/.exec(location) ?? [];
  if (versionName === undefined || name === undefined) throw new Error('an acknowledged write has no location');
  return { name, versionName };
}
