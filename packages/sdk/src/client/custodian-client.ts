/** Asks the custodian for keys and believes none that does not match its id. */
import { Agent } from 'node:http';
import { createDataKey, type DataKey, type KeyId } from '../seal/index.ts';
import { ClientError, isClientErrorCode } from './errors.ts';
import { type Answer, exchange, type Line } from './exchange.ts';
import type { KeyService, KeyUse } from './types.ts';
import { KEY_ROUTES, type KeyOperation, MAX_KEYS_PER_CALL, type WireAnswer, type WireKey } from './wire.ts';

export interface CustodianClientOptions {
  readonly socketPath: string;
  /** The bearer credential of this process. */
  readonly credential: string;
  /** How long one call may take, its retry included. */
  readonly timeoutMs: number;
}

/** Most connections to the custodian at once. */
const MAX_SOCKETS = 8;

export function createCustodianClient(options: CustodianClientOptions): KeyService {
  const line: Line = { ...options, agent: new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS }) };
  return {
    protect: (specs, use) => askInParts(specs, (part) => ask(line, 'protect', { specs: part, use }, part.length)),
    process: (ids, use) => askInParts(ids, (part) => processPart(line, part, use)),
  };
}

async function processPart(line: Line, ids: readonly KeyId[], use: KeyUse): Promise<DataKey[]> {
  const keys = await ask(line, 'process', { ids, use }, ids.length);
  if (keys.some((key, at) => key.id !== ids[at])) throw new ClientError('KEYS_NOT_AUTHENTIC');
  return keys;
}

async function askInParts<T>(
  all: readonly T[],
  askPart: (part: readonly T[]) => Promise<DataKey[]>,
): Promise<DataKey[]> {
  const keys: DataKey[] = [];
  for (let from = 0; from < all.length; from += MAX_KEYS_PER_CALL) {
    keys.push(...(await askPart(all.slice(from, from + MAX_KEYS_PER_CALL))));
  }
  return keys;
}

async function ask(line: Line, operation: KeyOperation, body: unknown, count: number): Promise<DataKey[]> {
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
  typeof (key as WireKey | null)?.id === 'string' && typeof (key as WireKey).secret === 'string';

/** The message of a JSON syntax error quotes the text, and this text may hold keys: it goes nowhere. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

/** The id is computed again from the bytes: a key under a foreign id is refused (the commitment). */
function openWireKey(wire: WireKey): DataKey {
  const key = keyOf(Buffer.from(wire.secret, 'base64'));
  if (key.id !== wire.id) throw new ClientError('KEYS_NOT_AUTHENTIC');
  return key;
}

function keyOf(bytes: Buffer): DataKey {
  try {
    return createDataKey(bytes);
  } catch (cause) {
    throw new ClientError('KEYS_NOT_AUTHENTIC', { cause });
  }
}
