/** What an error of a cloud provider's SDK means here. */
import { KeywardError } from '../../../core/index.ts';
import { rootFailure, type RootFailureCode } from '../failure.ts';

/** Code of the provider → ours. */
export type FaultTable = Readonly<Record<string, RootFailureCode>>;

interface Thrown {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Codes are short identifiers; whatever else stands there is not repeated. */
const CODE = /^[A-Za-z0-9_.-]{1,60}$/;
const isCode = (value: unknown): value is string => typeof value === 'string' && CODE.test(value);

const TOO_MANY_REQUESTS = 429;

/**
 * The table is asked first, then the HTTP status: what the provider could not answer now is told from what it will not do. What
 * has no status did not come from the provider: connection, host name, time or credentials.
 */
export function faultOf(provider: string, table: FaultTable, thrown: unknown): KeywardError {
  if (thrown instanceof KeywardError) return thrown;
  const error = (thrown ?? {}) as Thrown;
  const codes = [error.code, error.name].filter(isCode);
  const known = codes.find((each) => Object.hasOwn(table, each));
  const code = known === undefined ? byStatus(error) : (table[known] as RootFailureCode);
  return rootFailure(code, `${provider}: ${known ?? codes[0] ?? 'an error without a code'}.`, thrown);
}

function byStatus({ statusCode, $metadata }: Thrown): RootFailureCode {
  const status = Number(statusCode ?? $metadata?.httpStatusCode ?? 0);
  const isRefusal = status >= 400 && status < 500 && status !== TOO_MANY_REQUESTS;
  return isRefusal ? 'KEYS_ROOT_REFUSED' : 'KEYS_ROOT_UNAVAILABLE';
}
