/** What a refused request said: the stable code and hint of an OperationOutcome or a problem document. */
import type { Json } from '@keyward/sdk/seal';
import { type ErrorCode, ERRORS, KeywardError } from '../core/index.ts';
import type { HttpAnswer } from './http.ts';
import { at, textAt } from './json.ts';

export interface Refusal {
  readonly status: number;
  /** Of the error table, or `HTTP status` when the answer has none. */
  readonly code: string;
  readonly hint: string;
}

export function readRefusal(status: number, body: Json | undefined): Refusal {
  const issue = at(body, 'issue', 0);
  const code = textAt(body, 'code') ?? textAt(issue, 'details', 'coding', 0, 'code') ?? `HTTP ${status}`;
  const hint = textAt(body, 'hint') ?? textAt(issue, 'diagnostics') ?? textAt(issue, 'details', 'text') ?? '';
  return { status, code, hint };
}

export const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** The body of a successful answer. @throws KeywardError with the code the instance answered. */
export function bodyOf({ status, body }: HttpAnswer): Json {
  if (isSuccess(status) && body !== undefined) return body;
  const { code, hint } = readRefusal(status, body);
  // Problem documents repeat the hint where they have no detail.
  const detail = textAt(body, 'detail');
  if (Object.hasOwn(ERRORS, code))
    throw new KeywardError(code as ErrorCode, { detail: detail === hint ? undefined : detail });
  throw new KeywardError('CLI_REQUEST_FAILED', { detail: `${code}${hint && `: ${hint}`}` });
}
