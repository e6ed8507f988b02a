/** What a process hears of the keys it holds: the custodian's stream of news, followed for as long as the process runs. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { createInterface } from 'node:readline';
import type { KeyNews } from './types.ts';
import { NEWS_HEARTBEAT_MS, NEWS_ROUTE, type WireNews } from './wire.ts';

/** Whoever holds opened keys. */
export interface NewsListener {
  /** Drops what the news is about. */
  forget(news: KeyNews): void;
  /** Drops everything: what happened meanwhile is not known. */
  clear(): void;
}

export interface FollowOptions {
  /** Begins a GET of this path at the custodian, with this process's credential. */
  readonly begin: (options: Pick<RequestOptions, 'method' | 'path' | 'agent' | 'signal'>) => ClientRequest;
  readonly listener: NewsListener;
  /** Told when the stream is lost or heard again. Held keys serve meanwhile until their bounds. */
  readonly onHearing: (hearing: boolean) => void;
}

export interface Following {
  close(): void;
}

/** After so long without a line the stream counts as lost. */
const SILENCE_MS = 3 * NEWS_HEARTBEAT_MS;
const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 5_000;
/** Whoever heard nothing for longer starts anew: news this old may not be kept any more. */
const MAX_GAP_MS = 600_000;

/**
 * Goes on behind the last line heard after each interruption, so that nothing is passed by; where the custodian does not know
 * that place any more, everything held is dropped. Keeps no process alive.
 */
export function followNews(options: FollowOptions): Following {
  const ended = new AbortController();
  const place: Place = { heardMs: Number.NEGATIVE_INFINITY, hearing: undefined };
  void keepFollowing(options, place, ended.signal);
  return { close: () => ended.abort() };
}

interface Place {
  sequence?: number;
  heardMs: number;
  hearing: boolean | undefined;
}

async function keepFollowing(options: FollowOptions, place: Place, ended: AbortSignal): Promise<void> {
  let waitMs = FIRST_WAIT_MS;
  while (!ended.aborted) {
    const beganMs = performance.now();
    await followOnce(options, place, ended).catch(() => undefined);
    if (ended.aborted) return;
    setHearing(options, place, false);
    if (place.heardMs > beganMs) waitMs = FIRST_WAIT_MS;
    await pause(waitMs, ended);
    waitMs = Math.min(2 * waitMs, MAX_WAIT_MS);
  }
}

/** Resolves or rejects when the stream ends, breaks or falls silent. */
async function followOnce(options: FollowOptions, place: Place, ended: AbortSignal): Promise<void> {
  const silence = createSilence(SILENCE_MS);
  const signal = AbortSignal.any([ended, silence.signal]);
  try {
    for await (const line of createInterface({ input: await open(options, place, signal), signal })) {
      silence.restart();
      hear(options, place, JSON.parse(line) as WireNews);
    }
  } finally {
    silence.end();
  }
}

function open({ begin }: FollowOptions, place: Place, signal: AbortSignal): Promise<IncomingMessage> {
  if (performance.now() - place.heardMs > MAX_GAP_MS) delete place.sequence;
  const path = place.sequence === undefined ? NEWS_ROUTE : `${NEWS_ROUTE}?after=${place.sequence}`;
  return new Promise((resolve, reject) => {
    const outgoing = begin({ method: 'GET', path, agent: false, signal });
    outgoing.on('socket', (socket) => socket.unref());
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      incoming.on('error', () => undefined);
      if (incoming.statusCode === 200) return resolve(incoming);
      incoming.resume();
      reject(new Error('the custodian gives no news'));
    });
    outgoing.end();
  });
}

/** A line that is not understood counts as a broken stream, not as nothing. */
function hear(options: FollowOptions, place: Place, { sequence, reset, ids, specs }: WireNews): void {
  if (!Number.isSafeInteger(sequence)) throw new TypeError('a line of news without its place');
  if (reset) options.listener.clear();
  if (ids && specs) options.listener.forget({ ids, specs });
  place.sequence = sequence;
  place.heardMs = performance.now();
  setHearing(options, place, true);
}

function setHearing({ onHearing }: FollowOptions, place: Place, hearing: boolean): void {
  if (place.hearing === hearing) return;
  place.hearing = hearing;
  onHearing(hearing);
}

interface Silence {
  readonly signal: AbortSignal;
  restart(): void;
  end(): void;
}

function createSilence(limitMs: number): Silence {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), limitMs).unref();
  return { signal: controller.signal, restart: () => void timer.refresh(), end: () => clearTimeout(timer) };
}

function pause(waitMs: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, waitMs).unref();
    ended.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      ended.removeEventListener('abort', done);
      resolve();
    }
  });
}
