/** Whatever was thrown, as a row of the error table. */
import { asKeywardError, ERRORS, type ErrorCode, KeywardError } from '../core/index.ts';

/** Errors of the custodian's client are of a class of their own, with codes of the same table. */
export function asCoded(thrown: unknown): KeywardError {
  if (thrown instanceof KeywardError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return isErrorCode(code) ? new KeywardError(code, { cause: thrown }) : asKeywardError(thrown);
}

const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(ERRORS, code);
