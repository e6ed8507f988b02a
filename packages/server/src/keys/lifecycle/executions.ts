/** Destructions that are due: erased, told to the backups, certified. What is interrupted is taken up again by the next call. */
import { asKeywardError, type ErrorCode, KeywardError, newUuid } from '../../core/index.ts';
import { CUSTODIAN_ITSELF } from '../operators.ts';
import { query } from '../query.ts';
import {
  type DestructionCertificate,
  REMAINS,
  type Signed,
  type Signer,
  signStatement,
  type Tombstone,
  verifyCertificate,
} from './certificate.ts';
import { announceVersions, applyChanges } from './changes.ts';
import { type Destruction, selectDestructions } from './destructions.ts';
import { carryOut, type MakePlan } from './effects.ts';
import { orderBasis, requireGenuineOrder } from './order-signatures.ts';
import { doomedVersions } from './orders.ts';
import type { LifeParts } from './parts.ts';
import type { SigningKeys } from './signing-keys.ts';
import { type KeyVersion, namedKeys } from './versions.ts';

/** What became of the copies in backups. */
interface ErasedBackups {
  readonly rewritten: readonly { readonly backup: string; readonly digest: string }[];
  readonly notReached: readonly { readonly backup: string; readonly why: string }[];
}

/** Called again with the same tombstone when it was interrupted. */
export type EraseFromBackups = (keyIds: readonly string[], tombstone: Signed<Tombstone>) => Promise<ErasedBackups>;

export interface Executions {
  /** Ends every destruction that is due. One that fails does not keep the others; it is told, and tried again next time. */
  destroyDue(now: Date): Promise<DueResult>;
}

export interface DueResult {
  readonly destroyed: number;
  /** Due, and kept by a hold or by keys that still stand under a KEK. */
  readonly kept: number;
  readonly failed: number;
}

type Outcome = 'kept' | 'failed' | 'uncertified';

/** Reasons that stand in the keys, and not in what failed on the way. */
const KEPT: readonly ErrorCode[] = ['KEYS_HELD', 'KEYS_IN_USE'];

export function createExecutions(parts: LifeParts, signing: SigningKeys, erase: EraseFromBackups): Executions {
  const { pool, tenant, log } = parts;
  const alarm = (about: Destruction, outcome: Outcome, code: ErrorCode): Promise<void> =>
    alarmOnceADay(parts, about, outcome, code).catch((unheard: unknown) =>
      log.error('alarm not recorded', { code: asKeywardError(unheard).code, correlationId: about.correlationId }),
    );
  const endOne = async (due: Destruction): Promise<keyof DueResult> => {
    try {
      await requireGenuineOrder(signing, tenant, due);
      await carryOut(parts, planEnd(parts, due, await signing.signer()));
      return 'destroyed';
    } catch (error) {
      const { code } = asKeywardError(error);
      log.error('a destruction that is due did not happen', { code, correlationId: due.correlationId });
      const outcome = KEPT.includes(code) ? 'kept' : 'failed';
      await alarm(due, outcome, code);
      return outcome;
    }
  };
  const certifyAll = async (): Promise<void> => {
    for (const done of await selectDestructions(pool, tenant, 'uncertified'))
      try {
        await certify(parts, signing, done, erase);
      } catch (error) {
        const { code } = asKeywardError(error);
        log.error('certificate not made', { code, correlationId: done.correlationId });
        await alarm(done, 'uncertified', code);
      }
  };
  return {
    async destroyDue(now) {
      const result = { destroyed: 0, kept: 0, failed: 0 };
      for (const due of await selectDestructions(pool, tenant, 'due', [now])) result[await endOne(due)] += 1;
      if (result.destroyed > 0) await forgetPages(parts);
      await certifyAll();
      return result;
    },
  };
}

/** Wrapped bytes stay in dead rows until these are cleared away. */
async function forgetPages({ pool }: LifeParts): Promise<void> {
  await query(pool, 'VACUUM data_key', []);
  await query(pool, 'VACUUM kek', []);
}

const END = `
  UPDATE destruction SET state = 'done', ended_at = $3, tombstone = $4 WHERE tenant = $1 AND id = $2`;

/** @param verified the order as its signature was verified; a row that says anything else by now is not carried out */
function planEnd(parts: LifeParts, verified: Destruction, signer: Signer): MakePlan<void> {
  const { tenant, clock, events } = parts;
  const { id } = verified;
  return async (on, locking) => {
    const [order] = await selectDestructions(on, tenant, 'byId', [id], locking);
    if (order?.state !== 'waiting') throw new KeywardError('KEYS_REQUEST_ENDED');
    if (orderBasis(order) !== orderBasis(verified)) throw new KeywardError('KEYS_NOT_AUTHENTIC');
    const versions = await doomedVersions(on, tenant, order.target, locking);
    const [row] = await query<{ id: string }>(on, 'SELECT id FROM installation WHERE tenant = $1', [tenant]);
    const { reason, correlationId, target } = order;
    const facts = { verb: 'destroy', rule: 'keys.destruction', resources: [target], ...namedKeys(versions) };
    const why = { by: CUSTODIAN_ITSELF, reason, correlationId };
    return {
      basis: versions.map((version) => `${version.id} ${version.state}`).join(),
      event: { ...events.changing(facts, why), id: endEventId(order) },
      async apply(client) {
        const at = clock.now();
        const changes = versions.map((version) => ({ version, to: 'destroyed' }) as const);
        await applyChanges(client, tenant, changes, { ...why, at });
        await announceVersions(client, tenant, at, versions);
        const tombstone = tombstoneOf({ tenant, installation: row?.id ?? null, order, versions, at });
        await client.query(END, [tenant, id, at, JSON.stringify(signStatement(tombstone, signer))]);
      },
    };
  };
}

/** One for each destruction, however often its end is tried: UUID version 8 (RFC 9562, section 5.8) beside that of its order. */
const endEventId = ({ id }: Destruction): string => {
  const flipped = (parseInt(id.slice(-1), 16) ^ 1).toString(16);
  return `${id.slice(0, 14)}8${id.slice(15, -1)}${flipped}`;
};

interface TombstoneFacts {
  readonly tenant: string;
  readonly installation: string | null;
  readonly order: Destruction;
  readonly versions: readonly KeyVersion[];
  readonly at: Date;
}

const tombstoneOf = ({ tenant, installation, order, versions, at }: TombstoneFacts): Tombstone => ({
  type: 'keyward/destroyed-keys/1',
  destruction: order.id,
  installation,
  tenant,
  target: order.target,
  keys: versions.map(({ id, kind, scope, kekVersion }) => ({ id, kind, scope, kekVersion })),
  destroyedAt: at.toISOString(),
});

async function certify(
  { pool, tenant }: LifeParts,
  signing: SigningKeys,
  done: Destruction,
  erase: EraseFromBackups,
): Promise<void> {
  await requireGenuineOrder(signing, tenant, done);
  const tombstone = await requireGenuineTombstone(signing, tenant, done);
  const keyIds = tombstone.statement.keys.map(({ id }) => id);
  await requireDestroyed(pool, tenant, keyIds);
  const backups = await erase(keyIds, tombstone);
  const signer = await signing.signer();
  const certificate: DestructionCertificate = {
    ...tombstone.statement,
    type: 'keyward/destruction-certificate/1',
    method: 'wrapped key erased',
    remains: REMAINS,
    reason: done.reason,
    orderedBy: done.orderedBy,
    approvals: done.approvals,
    orderedAt: done.orderedAt.toISOString(),
    dueAt: done.dueAt.toISOString(),
    attempts: done.attempts,
    ledgerEntries: [done.id, endEventId(done)],
    backups: { rewritten: [...backups.rewritten], notReached: [...backups.notReached] },
  };
  const store = 'UPDATE destruction SET certificate = $3 WHERE tenant = $1 AND id = $2 AND certificate IS NULL';
  await query(pool, store, [tenant, done.id, JSON.stringify(signStatement(certificate, signer))]);
}

/** Signed here, and about this very row. @throws KeywardError `KEYS_NOT_AUTHENTIC` | `KEYS_STATE_REFUSED` */
async function requireGenuineTombstone(
  signing: SigningKeys,
  tenant: string,
  { id, target, tombstone }: Destruction,
): Promise<Signed<Tombstone>> {
  const isOurs =
    tombstone !== null && verifyCertificate(tombstone, await signing.publicKeyOf(tombstone.signature.keyId));
  if (!isOurs) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  const { statement } = tombstone;
  const isOfThis =
    statement.type === 'keyward/destroyed-keys/1' &&
    statement.destruction === id &&
    statement.tenant === tenant &&
    statement.target === target;
  if (!isOfThis) throw new KeywardError('KEYS_NOT_AUTHENTIC');
  return tombstone;
}

const DESTROYED = `
  SELECT FROM (
    SELECT id, state, wrapped FROM data_key WHERE tenant = $1
    UNION ALL SELECT id, state, wrapped FROM kek WHERE tenant = $1
  ) AS keys WHERE id = ANY ($2::bytea[]) AND state = 'destroyed' AND wrapped IS NULL`;

/** What was destroyed and is there again is not certified. */
async function requireDestroyed(pool: LifeParts['pool'], tenant: string, ids: readonly string[]): Promise<void> {
  const gone = await query(pool, DESTROYED, [tenant, ids.map((id) => Buffer.from(id, 'hex'))]);
  if (ids.length === 0 || gone.length !== ids.length) throw new KeywardError('KEYS_NOT_AUTHENTIC');
}

const ALARMED = `
  UPDATE destruction SET alarmed_at = $3
  WHERE tenant = $1 AND id = $2 AND state <> 'cancelled' AND (alarmed_at IS NULL OR alarmed_at <= $3::timestamptz - interval '1 day')
  RETURNING id`;

async function alarmOnceADay(
  parts: LifeParts,
  { id, target }: Destruction,
  outcome: Outcome,
  code: ErrorCode,
): Promise<void> {
  const { pool, tenant, clock, recorder, events } = parts;
  if ((await query(pool, ALARMED, [tenant, id, clock.now()])).length === 0) return;
  const facts = { verb: 'destroy', rule: `keys.destruction.${outcome}`, resources: [target], keyIds: [] };
  await recorder.record([events.alarm(facts, { code, correlationId: newUuid() })]);
}
