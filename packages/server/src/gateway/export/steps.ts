/** The three requests of an export: begun, asked about, and fetched file by file. The gateway makes each file while it is read. */
import { KeywardError } from '../../core/index.ts';
import { auditEvent } from '../audit.ts';
import type { Exchange } from '../exchange.ts';
import { groupMembers } from './group.ts';
import { ndjson } from './lines.ts';
import { type ExportFile, type ExportJob, fileUrl, openFileLink, openStatusLink, statusUrl } from './links.ts';
import { type ExportRequest, readExportRequest } from './request.ts';
import { exportDecision, exportedTypes } from './types.ts';
import { PROBE, walk } from './walk.ts';

/** Answers of one batch are sent together; there is no place in it for a stream, nor for what answers later. */
export function refuseInBatch({ inBatch }: Exchange): void {
  if (inBatch) throw new KeywardError('FHIR_INTERACTION_UNSUPPORTED', { detail: 'An export in a batch.' });
}

export async function replyKickOff(exchange: Exchange): Promise<void> {
  const { prefer = '' } = exchange.incoming.headers;
  if (!/(?:^|,)\s*respond-async\s*(?:,|;|$)/.test(String(prefer))) throw new KeywardError('FHIR_EXPORT_ASYNC');
  const request = await readExportRequest(exchange);
  exchange.targets = [...request.types];
  await permittedExport(exchange, request, 202);
  const job: ExportJob = { ...request, transactionTime: exchange.gateway.clock.now().toISOString() };
  exchange.reply = { status: 202, headers: { 'content-location': await statusUrl(exchange, job) }, body: undefined };
}

/** Nothing runs between the requests, so the answer is always there; a client that wants it no more has nothing to stop. */
export async function replyStatus(exchange: Exchange): Promise<void> {
  const job = await openStatusLink(exchange);
  exchange.targets = [...job.types];
  const status = exchange.incoming.method === 'DELETE' ? 202 : 200;
  const types = await permittedExport(exchange, job, status);
  if (status === 202) {
    exchange.reply = { status, headers: {}, body: undefined };
    return;
  }
  const { types: _types, ...common } = job;
  const held = await heldFiles(
    exchange,
    types.map((type) => ({ ...common, type })),
  );
  const output = await Promise.all(held.map(async (file) => ({ type: file.type, url: await fileUrl(exchange, file) })));
  exchange.reply = {
    status,
    headers: { 'content-type': 'application/json' },
    body: {
      transactionTime: job.transactionTime,
      request: requestUrl(exchange, job),
      requiresAccessToken: true,
      output,
      error: [],
    },
  };
}

export async function replyFile(exchange: Exchange): Promise<void> {
  const file = await openFileLink(exchange);
  exchange.targets = [file.type];
  exchange.decision = exportDecision(exchange, file.type);
  const lines = ndjson(exchange, file, exchange.decision);
  // Failures before the first line are still told by their code.
  const first = await lines.next();
  exchange.reply = {
    status: 200,
    headers: { 'content-type': 'application/fhir+ndjson' },
    body: undefined,
    stream: first.done ? lines : resumed(first.value, lines),
  };
}

async function* resumed(first: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  try {
    yield first;
    yield* rest;
  } finally {
    // Whoever stops after the first piece has not begun with the rest.
    await rest.return(undefined);
  }
}

/** Judged at each request anew, and recorded: who asks for an export of what. */
async function permittedExport(exchange: Exchange, request: ExportRequest, status: number): Promise<string[]> {
  if (request.level === 'group') await groupMembers(exchange, request.group);
  const types = await exportedTypes(exchange, request);
  exchange.decision = types[0] === undefined ? undefined : exportDecision(exchange, types[0]);
  await exchange.gateway.audit.record([auditEvent(exchange, 'disclosure', { resources: types, status })]);
  return types;
}

/** Types asked about at the same time. */
const PROBES = 8;
/** After so many pages of one resource that is not of the file, the type is named all the same, and its file may be empty. */
const PROBED_PAGES = 3;

/** Without those whose file would surely be empty. */
async function heldFiles(exchange: Exchange, files: readonly ExportFile[]): Promise<ExportFile[]> {
  const held: ExportFile[] = [];
  for (let start = 0; start < files.length; start += PROBES) {
    const some = files.slice(start, start + PROBES);
    const answers = await Promise.all(some.map((file) => mayHold(exchange, file)));
    held.push(...some.filter((_file, index) => answers[index]));
  }
  return held;
}

/** By the same walk as the file itself, so that of a group or of patients nothing is told but what they have. */
async function mayHold(exchange: Exchange, file: ExportFile): Promise<boolean> {
  let pages = 0;
  for await (const page of walk(exchange, file, PROBE)) if (page.length > 0 || ++pages === PROBED_PAGES) return true;
  return false;
}

/** The kick-off request as it was understood; none of its parameters tells who somebody is. */
function requestUrl({ gateway }: Exchange, { level, group, types, since }: ExportJob): string {
  const path = { system: '', patient: 'Patient/', group: `Group/${group}/` }[level];
  const query = new URLSearchParams({
    ...(types.length === 0 ? {} : { _type: types.join(',') }),
    ...(since === undefined ? {} : { _since: since }),
  });
  return `${gateway.publicBase}/${path}$export${query.size === 0 ? '' : `?${String(query)}`}`;
}
