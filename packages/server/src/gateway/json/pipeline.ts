/** The pipeline of JSON APIs: which step guards which kind of operation, in which order; read it top to bottom, as the one of FHIR. */
import { authenticate } from '../steps/authenticate.ts';
import { API_ROUTE_NAMES, type ApiExchange, type ApiStep } from './exchange.ts';
import { checkIfMatch } from './etag.ts';
import { admitToApi, refuseUndescribed } from './steps/admit.ts';
import { authoriseOperation } from './steps/authorise.ts';
import { discloseAnswer, recogniseAnswer } from './steps/answer.ts';
import { forwardToApi } from './steps/forward.ts';
import { planBody } from './steps/plan-body.ts';
import { planQuery } from './steps/plan-query.ts';
import { readApiBody, readSearchForm, refuseBody } from './steps/read-body.ts';
import { recordApiIntent, recordApiOutcome } from './steps/record.ts';
import { replyFromApi } from './steps/reply.ts';
import { sealBody } from './steps/seal.ts';

// A step runs on an operation where its row has an x.
// biome-ignore format: a table
const TABLE: readonly (readonly [step: ApiStep, marks: string])[] = [
  //                    read  search create update delete undesc.
  [admitToApi,         '  x     x      x      x      x      x    '], //  2 path, headers, size
  [authenticate,       '  x     x      x      x      x      x    '], //  3 token
  [refuseUndescribed,  '  x     x      x      x      x      x    '], //  4 operation
  [authoriseOperation, '  x     x      x      x      x      .    '], //  5 role, purpose, scope
  [checkIfMatch,       '  x     x      x      x      x      .    '],
  [refuseBody,         '  x     .      .      .      x      .    '],
  [readSearchForm,     '  .     x      .      .      .      .    '],
  [readApiBody,        '  .     .      x      x      .      .    '],
  [planQuery,          '  x     x      x      x      x      .    '], //  6 no PHI in the URL
  [planBody,           '  .     .      x      x      .      .    '], //  7 schema, marks, partial views
  [recordApiIntent,    '  .     .      x      x      x      .    '], //  8 durable
  [sealBody,           '  .     .      x      x      .      .    '], //  9 seal
  [forwardToApi,       '  x     x      x      x      x      .    '], // 10 upstream
  [recogniseAnswer,    '  x     x      x      x      x      .    '], // 11 as described, and written by us
  [recordApiOutcome,   '  .     .      x      x      x      .    '], // 12 durable
  [discloseAnswer,     '  x     x      x      x      x      .    '], // 12 durable, 13 open, validate
  [replyFromApi,       '  x     x      x      x      x      .    '], // 14 links, 15 headers
];

const PIPELINE = new Map(API_ROUTE_NAMES.map((name, column) => [name, stepsOf(column)]));

function stepsOf(column: number): readonly ApiStep[] {
  return TABLE.filter(([step, marks]) => {
    const cells = marks.trim().split(/\s+/);
    if (cells.length !== API_ROUTE_NAMES.length)
      throw new Error(`pipeline: row ${step.name} has ${cells.length} cells`);
    return cells[column] === 'x';
  }).map(([step]) => step);
}

/** @throws KeywardError of the step that refused */
export async function runApiPipeline(exchange: ApiExchange): Promise<void> {
  // Which operation it is follows from the path; `admitToApi`, first in every column, finds out.
  admitToApi(exchange);
  for (const step of PIPELINE.get(exchange.route.name)?.slice(1) ?? []) await step(exchange);
}
