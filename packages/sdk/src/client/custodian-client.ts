/** Asks the custodian for keys and believes none that does not match its id. */
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { createDataKey, type DataKey, type KeyId } from '../seal/index.ts';
import { ClientError, isClientErrorCode } from './errors.ts';
import { type Answer, begin, type CustodianAddress, exchange, type Line } from './exchange.ts';
import { type Following, followNews, type NewsListener } from './news.ts';
import type { GrantedKey, HandedKey, KeySource, KeySpec, KeyUse } from './types.ts';
import { KEY_ROUTES, type KeyOperation, MAX_KEYS_PER_CALL, type WireAnswer, type WireKey } from './wire.ts';

export type CustodianClientOptions = CustodianAddress & {
  /** How long one call may take, its retries included. */
  readonly timeoutMs: number;
};

/** Most connections to the custodian at once. */
const MAX_SOCKETS = 8;

export interface CustodianClient extends KeySource {
  /** Tells of keys that changed, for as long as the process runs. @param onHearing told when the custodian is not heard, and when it is again */
  follow(listener: NewsListener, onHearing: (hearing: boolean) => void): Following;
}

export function createCustodianClient(options: CustodianClientOptions): CustodianClient {
  const pooling = { keepAlive: true, maxSockets: MAX_SOCKETS };
  const agent = 'socketPath' in options ? new Agent(pooling) : new TlsAgent(pooling);
  const line: Line = { ...options, agent };
  return {
    protect: (specs, use, seals = specs.map(() => 1)) =>
      askInParts(specs, (part, from) => protectPart(line, part, use, seals.slice(from, from + part.length))),
    process: (ids, use) => askInParts(ids, (part) => processPart(line, part, use)),
    follow: (listener, onHearing) => followNews({ begin: (request) => begin(line, request), listener, onHearing }),
  };
}

async function protectPart(
  line: Line,
  specs: readonly KeySpec[],
  use: KeyUse,
  seals: readonly number[],
): Promise<GrantedKey[]> {
  const keys = await ask(line, 'protect', { specs, use, seals }, specs.length);
  return keys.map((key, at) => {
    const granted = key.seals ?? 0;
    if (granted < seals[at]!) throw new ClientError('KEYS_NOT_AUTHENTIC');
    return { ...key, seals: granted };
  });
}

async function processPart(line: Line, ids: readonly KeyId[], use: KeyUse): Promise<HandedKey[]> {
  const keys = await ask(line, 'process', { ids, use }, ids.length);
  if (keys.some((key, at) => key.id !== ids[at])) throw new ClientError('KEYS_NOT_AUTHENTIC');
  return keys;
}

async function askInParts<T, Key>(
  all: readonly T[],
  askPart: (part: readonly T[], from: number) => Promise<Key[]>,
): Promise<Key[]> {
  const keys: Key[] = [];
  for (let from = 0; from < all.length; from += MAX_KEYS_PER_CALL) {
    keys.push(...(await askPart(all.slice(from, from + MAX_KEYS_PER_CALL), from)));
  }
  return keys;
}

async function ask(
  line: Line,
  operation: KeyOperation,
  body: unknown,
  count: number,
): Promise<(HandedKey & Pick<WireKey, 'seals'>)[]> {
  const answer = await exchange(line, KEY_ROUTES[operation], JSON.stringify(body));
  if (answer.status !== 200) throw refusal(answer);
  const keys = wireKeys(answer.body);
  if (keys.length !== count) throw new ClientError('KEYS_NOT_AUTHENTIC');
  return keys.map(openWireKey);
}

/** The custodian's own code when its problem document has one we know; whatever else answers is not our custodian. */
function refusal(answer: Answer): ClientError {
  const code = (parse(answer.body) as { code?: unknown } | undefined)?.code;
  return new ClientError(isClientErrorCode(code) ? code : 'KEYS_UNAVAILABLE');
}

function wireKeys(body: string): readonly WireKey[] {
  const keys = (parse(body) as Partial<WireAnswer> | undefined)?.keys as unknown;
  if (Array.isArray(keys) && keys.every(isWireKey)) return keys;
  throw new ClientError('KEYS_UNAVAILABLE');
}

const isWireKey = (key: unknown): key is WireKey =>
  typeof (key as WireKey | null)?.id === 'string' &&
  typeof (key as WireKey).secret === 'string' &&
  ['string', 'undefined'].includes(typeof (key as WireKey).subject) &&
  ((key as WireKey).seals === undefined || Number.isSafeInteger((key as WireKey).seals));

/** The message of a JSON syntax error quotes the text, and this text may hold keys: it goes nowhere. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

/** The id is computed again from the bytes: a key under a foreign id is refused (the commitment). */
function openWireKey({ id, secret, ...names }: WireKey): HandedKey & Pick<WireKey, 'seals'> {
  const key = keyOf(Buffer.from(secret, 'base64'));
  if (key.id !== id) throw new ClientError('KEYS_NOT_AUTHENTIC');
  return { ...key, ...names };
}

function keyOf(bytes: Buffer): DataKey {
  try {
    return createDataKey(bytes);
  } catch (cause) {
    throw new ClientError('KEYS_NOT_AUTHENTIC', { cause });
  }
}
