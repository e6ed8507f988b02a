/** The verbs around approvals: make a key, look at what waits, sign it, withdraw it. */
import { KeywardError, type ErrorCode, ERRORS } from '../../core/index.ts';
import { parseKeyRef, signApproval, signEnrolment } from '../../keys/index.ts';
import type { Json } from '@keyward/sdk/seal';
import { at, textAt } from '../json.ts';
import { approverKeyFile, createApproverKey, publicPart, readApproverKey, removeApproverKey } from './approver-key.ts';
import type { KeysDesk } from './desk.ts';
import { digestToSign, renderRequest, type RequestView } from './request-view.ts';
import { renderRecord, renderRequests } from './screen.ts';
import type { KeysFlags } from './verbs.ts';

/** What a verb prints: for programs, and for people. */
export interface Printed {
  readonly json: Json;
  readonly text: string;
}

export async function listRequests(desk: KeysDesk, [id]: readonly string[], { all }: KeysFlags): Promise<Printed> {
  if (id !== undefined) return printed(await find(desk, id));
  const json = { requests: await desk.requests(all ? 'newest' : 'open') } as unknown as Json;
  return { json, text: renderRequests(json) };
}

/** What is signed is what is shown. @throws KeywardError with the code of the act, when that was the last approval and it failed */
export async function approveRequest(
  desk: KeysDesk,
  [id = '']: readonly string[],
  { keyFile }: KeysFlags,
): Promise<Printed> {
  const request = await find(desk, id);
  const digest = digestToSign(request);
  const key = readApproverKey(keyFile ?? approverKeyFile(await desk.me()));
  const after = await desk.approve(id, signApproval(key, digest).toString('base64url'));
  if (after.state === 'failed') throw failureOf(after);
  return printed(after);
}

function failureOf({ result }: RequestView): KeywardError {
  const code = textAt(result, 'code') ?? '';
  const known = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'CLI_REQUEST_FAILED';
  return new KeywardError(known, { detail: textAt(result, 'detail') });
}

async function find(desk: KeysDesk, id: string): Promise<RequestView> {
  const found = (await desk.requests({ id })).find((request) => request.id === id);
  if (!found) throw new KeywardError('KEYS_REQUEST_UNKNOWN');
  return found;
}

export const printed = (request: RequestView): Printed => ({
  json: request as unknown as Json,
  text: renderRequest(request),
});

/** The private key stays in its file on this machine; the custodian gets the public one. */
export async function enrol(desk: KeysDesk, { keyFile, again }: KeysFlags, reason: string): Promise<Printed> {
  const { tenant, ...person } = await desk.me();
  const file = keyFile ?? approverKeyFile(person);
  const key = createApproverKey(file);
  const proof = signEnrolment(key, tenant, person).toString('base64url');
  const enrolment = { publicKey: publicPart(key), proof };
  const act = again ? 're-enroll' : 'enroll';
  const answer = await desk
    .act(act, again ? { ...person, ...enrolment } : enrolment, reason)
    .catch((error: unknown) => {
      // Where nobody knows whether it was taken, it may be the enrolled one.
      if (error instanceof KeywardError && error.row.status < 500) removeApproverKey(file);
      throw error;
    });
  const json = { file, ...(answer as object) } as Json;
  const waits = textAt(at(json, 'request'), 'id');
  const text = waits === undefined ? 'enrolled' : `waits for approvals: keyward keys approve ${waits}`;
  return { json, text: `${text}\nkey file: ${file}\n` };
}

/** A request by its id, or a destruction that waits by its key. */
export async function cancel(desk: KeysDesk, [what = '']: readonly string[], reason: string): Promise<Printed> {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(what)) return printed(await desk.withdraw(what, reason));
  parseKeyRef(what);
  const json = await desk.act('cancel', { target: what }, reason);
  return { json, text: renderRecord(at(json, 'result') ?? null) };
}
