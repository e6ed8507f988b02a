/** Steps 12 and 13: the disclosure is durable before anything is opened, so a crash can only over-report. */
import { auditEvent, referencesOf } from '../audit.ts';
import type { Exchange } from '../exchange.ts';
import { prepareOpening } from '../sealing.ts';

export async function disclose(exchange: Exchange): Promise<void> {
  const opening = prepareOpening(exchange, exchange.findings);
  await exchange.gateway.audit.record([
    auditEvent(exchange, 'disclosure', {
      resources: referencesOf(exchange.findings),
      subjects: opening.scopes,
      classes: opening.classes,
      keyIds: opening.keyIds,
      status: 200,
    }),
  ]);
  await opening.open();
}
