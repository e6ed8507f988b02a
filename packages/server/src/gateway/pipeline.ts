/** The pipeline: which step guards which route, in which order. The order is the security argument; read it top to bottom. */
import { KeywardError } from '../core/index.ts';
import { isBatch, replyBatch } from './batch.ts';
import type { Exchange, Step } from './exchange.ts';
import { ROUTE_NAMES, type RouteName } from './routes.ts';
import { admit, refuseUnsupported } from './steps/admit.ts';
import { authenticate } from './steps/authenticate.ts';
import { authorise } from './steps/authorise.ts';
import { planCapabilities, replyCapabilities } from './steps/capabilities.ts';
import { disclose } from './steps/disclose.ts';
import { forward, planRead } from './steps/forward.ts';
import { planHistory, planTypeSearch } from './steps/plan-search.ts';
import { planTransaction, planWrite } from './steps/plan-write.ts';
import { readForm, readJsonBody } from './steps/read-body.ts';
import { reauthoriseMatches, reauthoriseOne, reauthoriseVersions } from './steps/reauthorise.ts';
import { recordIntent, recordOutcome } from './steps/record.ts';
import { replyHistory, replyResource, replySearchset, replyTransaction, replyWritten } from './steps/reply.ts';
import { sealTransaction, sealWrite } from './steps/seal.ts';

// A step runs on a route where its row has an x. `capabilities` needs no token: clients read it to learn how to get one.
// biome-ignore format: a table
const TABLE: readonly (readonly [step: Step, marks: string])[] = [
  //                    capabil. read  vread history search create update delete bundle unsupp.
  [admit,              '   x      x      x      x      x      x      x      x      x      x    '], //  2 path, headers, size
  [authenticate,       '   .      x      x      x      x      x      x      x      x      x    '], //  3 token
  [refuseUnsupported,  '   x      x      x      x      x      x      x      x      x      x    '], //  4 interaction, type
  [authorise,          '   .      x      x      x      x      x      x      x      .      .    '], //  5 role, purpose, scope
  [readForm,           '   .      .      .      .      x      .      .      .      .      .    '],
  [readJsonBody,       '   .      .      .      .      .      x      x      .      x      .    '],
  [batchOnly,          '   .      .      .      .      .      .      .      .      x      .    '],
  [planCapabilities,   '   x      .      .      .      .      .      .      .      .      .    '],
  [planRead,           '   .      x      x      .      .      .      .      .      .      .    '],
  [planHistory,        '   .      .      .      x      .      .      .      .      .      .    '],
  [planTypeSearch,     '   .      .      .      .      x      .      .      .      .      .    '], //  6 no PHI in the URL
  [planWrite,          '   .      .      .      .      .      x      x      x      .      .    '], //  7 shape
  [planTransaction,    '   .      .      .      .      .      .      .      .      x      .    '], //  5, 7 entry by entry
  [recordIntent,       '   .      .      .      .      .      x      x      x      x      .    '], //  8 durable
  [sealWrite,          '   .      .      .      .      .      x      x      x      .      .    '], //  9 seal
  [sealTransaction,    '   .      .      .      .      .      .      .      .      x      .    '],
  [forward,            '   x      x      x      x      x      x      x      x      x      .    '], // 10 upstream
  [reauthoriseOne,     '   .      x      x      .      .      .      .      .      .      .    '], // 11 again, per resource
  [reauthoriseVersions,'   .      .      .      x      .      .      .      .      .      .    '],
  [reauthoriseMatches, '   .      .      .      .      x      .      .      .      .      .    '],
  [recordOutcome,      '   .      .      .      .      .      x      x      x      x      .    '], // 12 durable
  [disclose,           '   .      x      x      x      x      .      .      .      .      .    '], // 12 durable, 13 open
  [replyCapabilities,  '   x      .      .      .      .      .      .      .      .      .    '], // 14 links, 15 headers
  [replyResource,      '   .      x      x      .      .      .      .      .      .      .    '],
  [replyHistory,       '   .      .      .      x      .      .      .      .      .      .    '],
  [replySearchset,     '   .      .      .      .      x      .      .      .      .      .    '],
  [replyWritten,       '   .      .      .      .      .      x      x      x      .      .    '],
  [replyTransaction,   '   .      .      .      .      .      .      .      .      x      .    '],
];

/** The steps of each route, in order. */
const PIPELINE: Readonly<Record<RouteName, readonly Step[]>> = compile();

function compile(): Record<RouteName, Step[]> {
  const steps = Object.fromEntries(ROUTE_NAMES.map((name): [string, Step[]] => [name, []])) as Record<
    RouteName,
    Step[]
  >;
  for (const [step, marks] of TABLE) {
    const cells = marks.trim().split(/\s+/);
    if (cells.length !== ROUTE_NAMES.length) throw new Error(`pipeline: row ${step.name} has ${cells.length} cells`);
    for (const [index, name] of ROUTE_NAMES.entries()) if (cells[index] === 'x') steps[name].push(step);
  }
  return steps;
}

/** Runs the steps of the exchange's route until one has set the reply. @throws KeywardError of the step that refused */
export async function runPipeline(exchange: Exchange): Promise<void> {
  // Which route it is follows from the path; `admit`, first on every route, finds out.
  admit(exchange);
  for (const step of PIPELINE[exchange.route.name].slice(1)) {
    await step(exchange);
    if (exchange.reply) return;
  }
}

/** A batch is answered here; a transaction goes on. */
async function batchOnly(exchange: Exchange): Promise<void> {
  if (exchange.inBatch)
    throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'A batch holds no bundles to process.' });
  if (isBatch(exchange)) await replyBatch(exchange, runPipeline);
}
