/** Steps 11 to 13: the answer is one that the API describes and that we wrote; its disclosure is durable; then it is opened and checked. */
import { type AuditEvent, KeywardError } from '../../../core/index.ts';
import { type BodyRule, holdsMark, type JsonOpenPlan, planJsonOpen } from '../../../phi/index.ts';
import type { Json } from '@keyward/sdk/seal';
import { auditEvent } from '../../audit.ts';
import { known } from '../../exchange.ts';
import type { Decision, PolicyInteraction } from '../../policy.ts';
import { shownEtag } from '../etag.ts';
import type { ApiExchange } from '../exchange.ts';
import { namesOf } from '../names.ts';
import { assertSubjects, prepareApiOpening } from '../seal-plan.ts';
import { decisionOn } from './authorise.ts';

type Mapped = Extract<BodyRule, { kind: 'mapped' }>;

export const recogniseAnswer = (exchange: ApiExchange): Promise<void> =>
  unlessWritten(exchange, async () => {
    const rule = ruleOf(exchange);
    const { body, headers } = known(exchange.answer, 'answer');
    const passes = rule && rule.kind !== 'unsupported' && body !== undefined;
    if (rule && body === undefined) throw new KeywardError('API_RESPONSE_INVALID');
    if (passes && !isJson(headers['content-type'])) throw new KeywardError('API_RESPONSE_INVALID');
    const plan = passes && rule.kind === 'mapped' ? await planned(exchange, rule, body) : undefined;
    if (passes && rule.kind === 'unmapped') assertNoMarks(body);
    // What no content is described for is not passed on.
    exchange.recognised = { rule, plan, body: passes ? body : undefined };
  });

/** OpenAPI 3.1 §4.8.16: the status itself, else its class, else the default. */
function ruleOf({ asked, answer, api }: ApiExchange): BodyRule | undefined {
  const { responses, name } = known(asked, 'operation').operation;
  const status = String(known(answer, 'answer').status);
  const key = [status, `${status[0]}XX`, 'default'].find((candidate) => responses.has(candidate));
  if (key === undefined) throw new KeywardError('API_RESPONSE_INVALID');
  const rule = responses.get(key);
  if (rule?.kind === 'unsupported') throw new KeywardError('API_RESPONSE_UNMAPPED');
  if (rule?.kind === 'unmapped' && !api.allowUnmappedPlaintextResponses.has(name))
    throw new KeywardError('API_RESPONSE_UNMAPPED');
  return rule;
}

const isJson = (type: string | string[] | undefined): boolean =>
  typeof type === 'string' && /^application\/([a-z0-9.-]+\+)?json\s*(;|$)/i.test(type);

async function planned(exchange: ApiExchange, { node, relaxed }: Mapped, body: Json): Promise<JsonOpenPlan> {
  const { operation, pathValues } = known(exchange.asked, 'operation');
  const plan = planJsonOpen({
    node,
    body,
    type: operation.type,
    subject: operation.subject === undefined ? undefined : pathValues[operation.subject],
    partlyWritten: exchange.api.map.partlyWritten,
  });
  // What is in clear must be as described before anybody's data is opened for it.
  if (relaxed(plan.apply(plan.sites.map(() => ({ kind: 'withhold' }))) ?? null) !== undefined)
    throw new KeywardError('API_RESPONSE_INVALID');
  await assertSubjects(exchange, plan);
  return plan;
}

function assertNoMarks(value: Json): void {
  if (typeof value === 'string' && holdsMark(value)) throw new KeywardError('SEAL_NOT_AUTHENTIC');
  if (value !== null && typeof value === 'object' && !JSON.isRawJSON(value))
    Object.values(value).forEach(assertNoMarks);
}

export const discloseAnswer = (exchange: ApiExchange): Promise<void> =>
  unlessWritten(exchange, async () => {
    const { plan, body, rule } = known(exchange.recognised, 'answer');
    const { body: opened, narrowed } =
      plan && rule?.kind === 'mapped' ? await openPlanned(exchange, plan, rule) : await passed(exchange, body);
    const etag = await shownEtag(exchange, known(exchange.answer, 'answer').headers['etag'], narrowed);
    exchange.shown = { body: opened, narrowed, etag };
  });

type Opened = Pick<NonNullable<ApiExchange['shown']>, 'body' | 'narrowed'>;

async function passed(exchange: ApiExchange, body: Json | undefined): Promise<Opened> {
  if (!isWrite(exchange)) await recordDisclosure(exchange, { resources: namesOf(exchange) });
  return { body, narrowed: false };
}

async function openPlanned(exchange: ApiExchange, plan: JsonOpenPlan, { check }: Mapped): Promise<Opened> {
  const opening = prepareApiOpening(exchange, plan, decisions(exchange, plan));
  const { keyIds, classes, scopes, narrowed } = opening;
  if (!isWrite(exchange) || keyIds.length > 0)
    await recordDisclosure(exchange, {
      resources: namesOf(exchange, opening.shows),
      keyIds,
      classes,
      subjects: scopes,
    });
  const body = await opening.open();
  // After a write it would sound as if nothing had been written.
  if (body === undefined && !isWrite(exchange)) throw new KeywardError('ACCESS_DENIED');
  if (!narrowed && body !== undefined && check(body) !== undefined) throw new KeywardError('API_RESPONSE_INVALID');
  return { body, narrowed };
}

const recordDisclosure = (
  exchange: ApiExchange,
  details: Pick<AuditEvent, 'resources' | 'keyIds' | 'classes' | 'subjects'>,
): Promise<void> =>
  exchange.gateway.audit.record([
    auditEvent(exchange, 'disclosure', { status: known(exchange.answer, 'answer').status, ...details }),
  ]);

/** These answers hold what was there before, which only those see who may read it. */
const SHOWN_BY: Readonly<Partial<Record<ApiExchange['route']['name'], PolicyInteraction>>> = {
  update: 'read',
  delete: 'read',
};

/** Every object of another kind than was asked for is authorised by itself. */
function decisions(exchange: ApiExchange, { objects }: JsonOpenPlan): (object: number) => Decision | undefined {
  const { api, route } = exchange;
  const interaction = SHOWN_BY[route.name] ?? (route.name as PolicyInteraction);
  const byType = new Map<string, Decision | undefined>();
  return (object) => {
    const type = `${api.name}:${objects[object]?.type ?? ''}`;
    if (!byType.has(type)) byType.set(type, decisionOn(exchange, interaction, type));
    return byType.get(type);
  };
}

const isWrite = ({ route }: ApiExchange): boolean => route.name !== 'read' && route.name !== 'search';

/** After a write the upstream has it, so the caller must not be told that nothing happened. */
async function unlessWritten(exchange: ApiExchange, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    throw isWrite(exchange) ? new KeywardError('GATEWAY_OUTCOME_UNKNOWN', { cause }) : cause;
  }
}
