/** The pipeline: which step guards which route, in which order. The order is the security argument; read it top to bottom. */
import { KeywardError } from '../core/index.ts';
import { isBatch, replyBatch } from './batch.ts';
import type { Exchange, Step } from './exchange.ts';
import { refuseInBatch, replyFile, replyKickOff, replyStatus } from './export/steps.ts';
import { ROUTE_NAMES, type RouteName } from './routes.ts';
import { admit, refuseUnsupported } from './steps/admit.ts';
import { authenticate } from './steps/authenticate.ts';
import { authorise } from './steps/authorise.ts';
import { planCapabilities, replyCapabilities } from './steps/capabilities.ts';
import { backfill, refuseWhileUndoing } from './steps/backfill.ts';
import { replyContent } from './steps/binary.ts';
import { disclose } from './steps/disclose.ts';
import { discloseExisting } from './steps/existing.ts';
import { planEverything, reauthoriseEverything } from './steps/everything.ts';
import { forward, forwardWrite, planRead } from './steps/forward.ts';
import { patchCurrent, planPatch, readPatchBody } from './steps/patch.ts';
import { planHistory, planTypeSearch } from './steps/plan-search.ts';
import { planTransaction, planWrite } from './steps/plan-write.ts';
import { present } from './steps/present.ts';
import { readForm, readJsonBody, readParameters } from './steps/read-body.ts';
import { reauthoriseMatches, reauthoriseOne, reauthoriseVersions } from './steps/reauthorise.ts';
import { recordIntent, recordOutcome } from './steps/record.ts';
import { replyEverything, replyHistory, replyResource, replySearchset } from './steps/reply.ts';
import { replyTransaction, replyWritten } from './steps/reply-written.ts';
import { resolveConditions, resolveReferences } from './steps/resolve.ts';
import { sealTransaction, sealWrite } from './steps/seal.ts';
import { replyScope } from './steps/scope.ts';
import { replySmartConfiguration } from './steps/smart-configuration.ts';
import { validate } from './steps/validate.ts';

// A step runs on a route where its row has an x. `capabilities` and `smart` need no token: clients read them to learn how to get one.
// biome-ignore format: a table
const TABLE: readonly (readonly [step: Step, marks: string])[] = [
  //                    capabil. read  vread history search every. create update delete patch  bundle export status file   smart  backf. scope  unsupp.
  [admit,              '   x      x      x      x      x      x      x      x      x      x      x      x      x      x      x      x      x      x    '], //  2 path, headers, size
  [authenticate,       '   .      x      x      x      x      x      x      x      x      x      x      x      x      x      .      x      x      x    '], //  3 token
  [refuseUnsupported,  '   x      x      x      x      x      x      x      x      x      x      x      x      x      x      x      x      x      x    '], //  4 interaction, type
  [authorise,          '   .      x      x      x      x      x      x      x      x      x      .      .      .      .      .      .      x      .    '], //  5 role, purpose, scope
  [readForm,           '   .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [readParameters,     '   .      .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [readJsonBody,       '   .      .      .      .      .      .      x      x      .      .      x      .      .      .      .      x      .      .    '],
  [readPatchBody,      '   .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .      .    '],
  [batchOnly,          '   .      .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .    '],
  [refuseInBatch,      '   .      .      .      .      .      .      .      .      .      .      .      x      x      x      .      x      x      .    '],
  [refuseWhileUndoing, '   .      .      .      .      .      .      x      x      x      x      x      .      .      .      .      .      .      .    '],
  [planCapabilities,   '   x      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [planRead,           '   .      x      x      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [planHistory,        '   .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [planTypeSearch,     '   .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .    '], //  6 no PHI in the URL
  [planEverything,     '   .      .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [planWrite,          '   .      .      .      .      .      .      x      x      x      .      .      .      .      .      .      .      .      .    '], //  7 shape
  [planTransaction,    '   .      .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .    '], //  5, 7 entry by entry
  [planPatch,          '   .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .      .    '],
  [patchCurrent,       '   .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .      .    '], // 10-13 of the version it starts from
  [backfill,           '   .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      x      .      .    '], //  5-15 a page of what the upstream holds already
  [replyScope,         '   .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      x      .    '], // 10, 12, 15
  [validate,           '   .      .      .      .      .      .      x      x      x      x      x      .      .      .      .      .      .      .    '], //  7 R4 and profiles
  [recordIntent,       '   .      .      .      .      .      .      x      x      x      x      x      .      .      .      .      .      .      .    '], //  8 durable
  [resolveConditions,  '   .      .      .      .      .      .      x      x      x      .      x      .      .      .      .      .      .      .    '], // 10-13 of what a condition means
  [resolveReferences,  '   .      .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .    '],
  [sealWrite,          '   .      .      .      .      .      .      x      x      x      x      .      .      .      .      .      .      .      .    '], //  9 seal
  [sealTransaction,    '   .      .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .    '],
  [forward,            '   x      x      x      x      x      x      .      .      .      .      .      .      .      .      .      .      .      .    '], // 10 upstream
  [forwardWrite,       '   .      .      .      .      .      .      x      x      x      x      x      .      .      .      .      .      .      .    '],
  [reauthoriseOne,     '   .      x      x      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '], // 11 again, per resource
  [reauthoriseVersions,'   .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [reauthoriseMatches, '   .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [reauthoriseEverything,'   .      .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [recordOutcome,      '   .      .      .      .      .      .      x      x      x      x      x      .      .      .      .      .      .      .    '], // 12 durable
  [discloseExisting,   '   .      .      .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .    '],
  [disclose,           '   .      x      x      x      x      x      .      .      .      .      .      .      .      .      .      .      .      .    '], // 12 durable, 13 open
  [present,            '   .      x      x      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [replyCapabilities,  '   x      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '], // 14 links, 15 headers
  [replyContent,       '   .      x      x      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [replyResource,      '   .      x      x      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [replyHistory,       '   .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [replySearchset,     '   .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [replyEverything,    '   .      .      .      .      .      x      .      .      .      .      .      .      .      .      .      .      .      .    '],
  [replyWritten,       '   .      .      .      .      .      .      x      x      x      x      .      .      .      .      .      .      .      .    '],
  [replyTransaction,   '   .      .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .      .    '],
  [replyKickOff,       '   .      .      .      .      .      .      .      .      .      .      .      x      .      .      .      .      .      .    '], //  5-15 of an export: each page of a file goes through 10-13
  [replyStatus,        '   .      .      .      .      .      .      .      .      .      .      .      .      x      .      .      .      .      .    '],
  [replyFile,          '   .      .      .      .      .      .      .      .      .      .      .      .      .      x      .      .      .      .    '],
  [replySmartConfiguration, '   .      .      .      .      .      .      .      .      .      .      .      .      .      .      x      .      .      .    '],
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
  try {
    for (const step of PIPELINE[exchange.route.name].slice(1)) {
      await step(exchange);
      if (exchange.reply) return;
    }
  } finally {
    exchange.loans.giveBack();
  }
}

/** A batch is answered here; a transaction goes on. */
async function batchOnly(exchange: Exchange): Promise<void> {
  if (exchange.inBatch)
    throw new KeywardError('FHIR_BUNDLE_INVALID', { detail: 'A batch holds no bundles to process.' });
  if (isBatch(exchange)) await replyBatch(exchange, runPipeline);
}
