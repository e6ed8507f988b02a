/** The admin process's line to the custodian's desk for operators: it carries their calls and tokens, and decides nothing. */
import { Pool as HttpPool } from 'undici';
import type { KeyCall } from '../admin/index.ts';
import { type ErrorCode, ERRORS, KeywardError, parseJson } from '../core/index.ts';
import { CORRELATION_HEADER, OPERATOR_HEADER } from '../keys/index.ts';
import { custodianConnection } from './custodian-line.ts';
import type { ProcessContext } from './process.ts';

export interface KeyManagementLine {
  /** @throws KeywardError as the custodian refused, or `KEYS_UNAVAILABLE` */
  send(call: KeyCall): Promise<unknown>;
  close(): Promise<void>;
}

/** An approval answers when the act it completes is done: a backup, for example. */
const ACT_TIMEOUT_MS = 120_000;

export function openKeyManagement(context: ProcessContext): KeyManagementLine {
  const { origin, connect, headers: credential } = custodianConnection(context, 'admin');
  const pool = new HttpPool(origin, {
    connections: 4,
    connect,
    headersTimeout: ACT_TIMEOUT_MS,
    bodyTimeout: ACT_TIMEOUT_MS,
  });
  return {
    async send({ method, path, body, operator, correlationId }) {
      const headers = {
        ...credential,
        [CORRELATION_HEADER]: correlationId,
        ...(operator === undefined ? {} : { [OPERATOR_HEADER]: operator }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      const text = body === undefined ? null : JSON.stringify(body);
      const answer = await ask(() => pool.request({ method, path: `/v1/manage/${path}`, headers, body: text }));
      const bytes = await ask(() => answer.body.bytes());
      const json = readJson(bytes);
      if (answer.statusCode < 300) return json;
      throw refusalOf(json);
    },
    close: () => pool.destroy(),
  };
}

const ask = <T>(call: () => Promise<T>): Promise<T> =>
  call().catch((cause: unknown) => {
    throw new KeywardError('KEYS_UNAVAILABLE', { cause });
  });

function readJson(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes);
  } catch (cause) {
    throw new KeywardError('KEYS_UNAVAILABLE', { cause });
  }
}

/** The custodian's own code and detail; whatever else answers is not our custodian. */
function refusalOf(problem: unknown): KeywardError {
  const { code, detail, hint } = (problem ?? {}) as { code?: unknown; detail?: unknown; hint?: unknown };
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code)) return new KeywardError('KEYS_UNAVAILABLE');
  const told = typeof detail === 'string' && detail !== hint ? detail : undefined;
  return new KeywardError(code as ErrorCode, { detail: told });
}
