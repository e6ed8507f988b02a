/** What went wrong at a root, as a coded error that holds nothing of what the provider said. */
import { type ErrorCode, KeywardError } from '../../core/index.ts';

export type RootFailureCode = Extract<ErrorCode, `KEYS_ROOT_${string}` | 'KEYS_NOT_AUTHENTIC'>;

/** A name or code of a foreign error, as far as it is one: no text, which may quote a request with its credentials. */
const WORD = /^[A-Za-z0-9_.-]{1,60}$/;

/**
 * Clients of providers put requests, and with them tokens and plaintexts, into their errors: of these only the name and the
 * code reach the log.
 */
export function rootFailure(code: RootFailureCode, detail?: string, thrown?: unknown): KeywardError {
  return new KeywardError(code, { detail, ...(thrown === undefined ? {} : { cause: bare(thrown) }) });
}

function bare(thrown: unknown): Error {
  const { name, code } =
    thrown instanceof Error ? (thrown as Error & { code?: unknown }) : { name: typeof thrown, code: '' };
  const cause = new Error('said by the root');
  cause.name = WORD.test(name) ? name : 'Error';
  return Object.assign(cause, typeof code === 'string' && WORD.test(code) ? { code } : {});
}
