/** How a failure reads on stderr: one `error:` line with its code, one `hint:` line; never a stack trace. */
import { type KeywardError, newUuid, toProblem } from '../core/index.ts';

export function renderError(error: KeywardError, { json }: { readonly json: boolean }): string {
  if (json) return `${JSON.stringify(toProblem(error, newUuid()))}\n`;
  const { text, hint } = error.row;
  const detail = error.detail ? ` (${oneLine(error.detail)})` : '';
  return `error: ${error.code} ${text}${detail}\nhint: ${hint}\n`;
}

/** Details may quote what another program said; control characters would let it paint over our lines. */
export const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
