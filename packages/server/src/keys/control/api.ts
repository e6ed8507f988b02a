/** The OpenAPI 3.1 description of key management, made from the tables of acts and questions. */
import { z } from 'zod';
import type { Act, Question } from './act.ts';
import { rolesFor } from './dual-control.ts';

type Schema = Record<string, unknown>;

const text = (more: Schema = {}): Schema => ({ type: 'string', ...more });
const object = (properties: Record<string, Schema>): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

const REASON = text({ minLength: 1, maxLength: 500, description: 'Why; goes into the ledger. Never PHI.' });
const REQUEST: Schema = { $ref: '#/components/schemas/Request' };
const ID = { name: 'id', in: 'path', required: true, schema: text({ format: 'uuid' }) };

interface Operation {
  readonly id: string;
  readonly summary: string;
  readonly body: Schema;
  readonly parameters?: readonly Schema[];
  readonly answers: Record<string, Schema>;
}

/** Paths as the admin API has them; the custodian's own are the same below /v1/manage. */
export function custodianApi({ acts, questions }: { acts: readonly Act[]; questions: readonly Question[] }): Schema {
  return {
    openapi: '3.1.0',
    info: { title: 'Keyward key management', version: '1' },
    paths: Object.fromEntries([
      ...acts.map((act) => path(`acts/${act.name}`, ofAct(act))),
      ...questions.map((question) => path(`questions/${question.name}`, ofQuestion(question))),
      ...REQUEST_OPERATIONS.map(([where, operation]) => path(where, operation)),
    ]),
    components: {
      securitySchemes: { operator: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { Request: requestSchema, Problem: problemSchema },
    },
    security: [{ operator: [] }],
  };
}

const path = (where: string, operation: Operation): [string, Schema] => [
  `/v1/keys/${where}`,
  { post: render(operation) },
];

const render = ({ id, summary, body, parameters = [], answers }: Operation): Schema => ({
  operationId: id,
  summary,
  ...(parameters.length > 0 ? { parameters } : {}),
  requestBody: { required: true, content: { 'application/json': { schema: body } } },
  responses: {
    ...Object.fromEntries(Object.entries(answers).map(([status, schema]) => [status, answer(status, schema)])),
    default: { description: 'Refused', content: { 'application/problem+json': { schema: PROBLEM } } },
  },
});

const PROBLEM: Schema = { $ref: '#/components/schemas/Problem' };

const answer = (status: string, schema: Schema): Schema => ({
  description: status === '202' ? 'Waits for approvals' : 'Done',
  content: { 'application/json': { schema } },
});

const schemaOf = (params: z.ZodType): Schema => z.toJSONSchema(params, { io: 'input', target: 'draft-2020-12' });

const ofAct = (act: Act): Operation => ({
  id: `act-${act.name}`,
  summary: `${act.summary} Role: ${rolesFor(act).join(' or ')}.${act.dual ? ' Waits for approvals.' : ''}`,
  body: object({ params: schemaOf(act.params), reason: REASON }),
  answers: act.dual ? { 202: object({ request: REQUEST }) } : { 200: object({ result: {} }) },
});

const ofQuestion = ({ name, summary, roles, params }: Question): Operation => ({
  id: `question-${name}`,
  summary: `${summary} Role: ${roles.join(' or ')}.`,
  body: object({ params: schemaOf(params) }),
  answers: { 200: {} },
});

const REQUEST_OPERATIONS: readonly (readonly [string, Operation])[] = [
  [
    'requests',
    {
      id: 'requests',
      summary: 'Requests for approval: those that wait, the newest, or one.',
      body: {
        oneOf: [object({ which: text({ enum: ['open', 'newest'] }) }), object({ id: text({ format: 'uuid' }) })],
      },
      answers: { 200: object({ requests: { type: 'array', items: REQUEST } }) },
    },
  ],
  [
    'requests/{id}/approve',
    {
      id: 'approve-request',
      summary:
        'Approve a request: an Ed25519 signature over "keyward/control-approval/1" and its digest, in base64url.',
      parameters: [ID],
      body: object({ signature: text({ pattern: '^[\\w-]{86}$' }) }),
      answers: { 200: REQUEST },
    },
  ],
  [
    'requests/{id}/cancel',
    {
      id: 'cancel-request',
      summary: 'Withdraw a request: its requester, or an approver.',
      parameters: [ID],
      body: object({ reason: REASON }),
      answers: { 200: REQUEST },
    },
  ],
];

const personSchema = object({ issuer: text(), sub: text() });
const time = text({ format: 'date-time' });

const requestSchema: Schema = {
  ...object({
    tenant: text(),
    id: text({ format: 'uuid' }),
    act: text(),
    params: {},
    requester: personSchema,
    reason: text(),
    needed: { type: 'integer' },
    expiresAt: time,
    digest: text({ pattern: '^[0-9a-f]{64}$' }),
    createdAt: time,
    state: text({ enum: ['pending', 'executing', 'executed', 'failed', 'cancelled', 'expired', 'altered'] }),
    approvals: { type: 'array', items: object({ issuer: text(), sub: text(), at: time }) },
  }),
  // Members that only an ended request has.
  additionalProperties: true,
};

const problemSchema: Schema = {
  type: 'object',
  description: 'RFC 9457',
  properties: { code: text(), title: text(), status: { type: 'integer' }, detail: text(), hint: text() },
};
