/** What tests of key management share: a desk on a real key database, people with tokens and approver keys, acts to ask for. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Pool } from 'pg';
import { z } from 'zod';
import { type Clock, type ErrorCode, KeywardError, newUuid } from '../../core/index.ts';
import type { OperatorRole } from '../operators.ts';
import { createRecorder } from '../recorder.ts';
import { createMemoryLedger, testLog } from '../testing.ts';
import type { Act, Question } from './act.ts';
import type { RequestView } from './dual-control.ts';
import { createManagement, type Management, type ManagementCall } from './management.ts';
import { type RequestTerms, requestDigest, signApproval, signEnrolment } from './request-terms.ts';

export const ISSUER = 'https://issuer.example';

const PEOPLE: Readonly<Record<string, readonly OperatorRole[]>> = {
  operator: ['key-creator', 'key-rotator', 'key-destroyer'],
  'manager-who-approves': ['key-destroyer', 'approver'],
  'approver-1': ['approver'],
  'approver-2': ['approver'],
  'approver-3': ['approver'],
  auditor: ['auditor'],
};

/** What was done, in order. */
export interface Done {
  readonly name: string;
  readonly params: unknown;
  readonly by: string;
}

const params = z.strictObject({ what: z.string().min(1).max(20), days: z.int().default(7) });

function testActs(done: Done[], during: () => Promise<void>): Act[] {
  const act = (name: string, more: Partial<Act>): Act => {
    const row: Act<z.infer<typeof params>> = {
      name,
      summary: `Does ${name}.`,
      role: 'key-destroyer',
      dual: true,
      params,
      resources: ({ what }) => [what],
      async run(given, { by }) {
        done.push({ name, params: given, by: by.sub });
        await during();
        return { name };
      },
    };
    return { ...row, ...more };
  };
  const refused = async () => {
    throw new KeywardError('KEYS_HELD');
  };
  return [
    act('at-once', { dual: false }),
    act('dangerous', {}),
    act('repeatable', { repeatable: true }),
    act('refused', { run: refused }),
  ];
}

const question: Question = {
  name: 'how-many',
  summary: 'Counts.',
  roles: ['auditor'],
  params: z.strictObject({}),
  resources: () => [],
  answer: async () => ({ count: 3 }),
};

export interface Desk {
  readonly management: Management;
  readonly tenant: string;
  readonly ledger: ReturnType<typeof createMemoryLedger>;
  readonly done: Done[];
  readonly pool: Pool;
  readonly clock: { now: Clock['now']; at: Date };
  readonly keys: Map<string, KeyObject>;
  /** What an act waits for while it is being done. */
  during: () => Promise<void>;
  /** The same desk after a restart of the custodian. */
  restarted(at?: Date): Promise<Desk>;
}

export interface DeskChanges {
  readonly tenant?: string;
  readonly needed?: number;
  readonly keys?: Map<string, KeyObject>;
  readonly issuers?: readonly string[];
  readonly at?: Date;
}

export async function openDesk(pool: Pool, changes: DeskChanges = {}): Promise<Desk> {
  const {
    tenant = `t-${newUuid()}`,
    needed = 2,
    keys = new Map<string, KeyObject>(),
    issuers = [ISSUER],
    at = new Date(),
  } = changes;
  const ledger = createMemoryLedger();
  const clock = { at, now: () => clock.at };
  const done: Done[] = [];
  const acts = testActs(done, () => desk.during());
  const management = createManagement({
    pool,
    tenant,
    clock,
    recorder: createRecorder(ledger),
    log: testLog(),
    verifyToken: async (authorization) => tokenOf(authorization),
    approvals: { needed, ttlHours: 24 },
    issuers,
    firstOperators: Object.entries(PEOPLE).map(([sub, roles]) => ({ issuer: issuers[0]!, sub, roles })),
    acts,
    questions: [question],
    settings: [],
    noted: (all) => [...all],
    requireSteadyClock: async () => undefined,
  });
  const desk: Desk = {
    management,
    tenant,
    ledger,
    done,
    pool,
    clock,
    keys,
    during: async () => undefined,
    restarted: (later) => openDesk(pool, { tenant, needed, keys, issuers, ...(later ? { at: later } : {}) }),
  };
  await management.start();
  return desk;
}

/** A test's token is `SUB`, or `SUB;role=…;mfa=no;jti=…`: what verifies real ones is tested where they are made. */
function tokenOf(authorization: string | undefined) {
  const [sub, ...claims] = (authorization ?? '').split(';');
  if (!sub) throw new KeywardError('IDENTITY_TOKEN_MISSING');
  const claim = (name: string) => claims.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
  return { issuer: claim('issuer') ?? ISSUER, sub, role: claim('role') ?? 'admin', mfa: claim('mfa') !== 'no' };
}

export const callBy = (operator: string, body: unknown = {}): ManagementCall => ({
  operator,
  correlationId: newUuid(),
  body,
});

export const REASON = 'because the test says so';

/** Asks for an act under dual control. */
export async function requested(desk: Desk, act = 'dangerous', by = 'operator'): Promise<RequestView> {
  const answer = await desk.management.act(act, callBy(by, { params: { what: 'kek/1' }, reason: REASON }));
  if (!('request' in answer)) throw new Error('it was done at once');
  return answer.request;
}

export async function enrol(desk: Desk, sub: string): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const proof = signEnrolment(privateKey, desk.tenant, { issuer: ISSUER, sub }).toString('base64url');
  const body = { params: { publicKey: rawKey(publicKey), proof }, reason: REASON };
  await desk.management.act('enroll', callBy(sub, body));
  desk.keys.set(sub, privateKey);
}

export const rawKey = (key: KeyObject): string => key.export({ format: 'jwk' }).x!;

export const termsOf = (request: RequestView): RequestTerms => ({
  ...request,
  expiresAt: new Date(request.expiresAt),
});

export const signatureBy = (desk: Desk, sub: string, request: RequestView): string =>
  signApproval(desk.keys.get(sub)!, requestDigest(termsOf(request))).toString('base64url');

export function approve(desk: Desk, sub: string, request: RequestView, token = sub): Promise<RequestView> {
  const body = { signature: signatureBy(desk, sub, request) };
  return desk.management.approve(request.id, callBy(token, body));
}

/** A desk whose approvers have enrolled their keys. */
export async function openWithApprovers(pool: Pool, ...subs: string[]): Promise<Desk> {
  const desk = await openDesk(pool);
  for (const sub of subs.length > 0 ? subs : ['approver-1', 'approver-2', 'approver-3']) await enrol(desk, sub);
  return desk;
}

export const refusedWith = (code: ErrorCode) => (error: unknown) => (error as { code?: unknown }).code === code;

/** It was refused, and the ledger says so. */
export async function assertRefused(desk: Desk, code: ErrorCode, attempt: () => Promise<unknown>): Promise<void> {
  const eventsBefore = desk.ledger.events.length;
  await assert.rejects(attempt(), refusedWith(code));
  const refusal = desk.ledger.events.slice(eventsBefore).find((event) => event.code === code);
  assert.ok(refusal, `${code} was not recorded`);
}
