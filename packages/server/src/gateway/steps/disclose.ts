/** Steps 12 and 13: the disclosure is durable before anything is opened, so a crash can only over-report. */
import { auditEvent, referencesOf } from '../audit.ts';
import type { Exchange, Finding } from '../exchange.ts';
import { withOwnMarked } from '../own-records.ts';
import { prepareOpening } from '../sealing.ts';
import { filteredElements } from '../search/filters.ts';
import { narrowed } from '../search/shape.ts';

export async function disclose(exchange: Exchange): Promise<void> {
  exchange.findings = await withOwnMarked(exchange);
  const parts = exchange.findings.map((finding) => partOf(exchange, finding));
  const opening = prepareOpening(exchange, parts);
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
  for (const [index, { opened }] of parts.entries()) if (opened) (exchange.findings[index] as Finding).opened = opened;
}

/** What is neither shown nor needed to tell whether it may be is not opened. */
function partOf({ shape, search }: Exchange, finding: Finding): Finding {
  const { resource, included } = finding;
  const also = search ? filteredElements(resource.resourceType, search.filters) : [];
  return { ...finding, part: narrowed(resource, shape, !included, also) };
}
