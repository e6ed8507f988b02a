/** The custodian: decides who gets which key, records it, and only then opens it. */
import {
  createKeyCache,
  type GrantedKey,
  type HandedKey,
  type KeyCacheOptions,
  type KeyOperation,
  type KeyService,
  type KeySource,
  type KeySpec,
  type KeyUse,
  type NewsListener,
} from '@keyward/sdk/client';
import type { KeyId } from '@keyward/sdk/seal';
import type { Pool } from 'pg';
import type { Config } from '../config/index.ts';
import { asKeywardError, type AuditSink, type Clock, type Log } from '../core/index.ts';
import { createAct } from './control/create-act.ts';
import { createManagement, type Management, type ManagementOptions } from './control/management.ts';
import { createSettings } from './control/settings.ts';
import { createAccessEvents } from './access-events.ts';
import { createDataKeys } from './data-keys.ts';
import { processRequest, protectRequest, serveGranted, serveKeys, type Witness } from './desk.ts';
import type { Caller, RemoteCaller } from './grants.ts';
import { createGraves } from './graves.ts';
import { jobActs, jobQuestions } from './jobs/acts.ts';
import { cryptoperiodSettings } from './jobs/cryptoperiods.ts';
import { createKeyJobs, type JobTiming, type KeyJobs } from './jobs/jobs.ts';
import { createKeks } from './keks.ts';
import { lifeActs, lifeQuestions } from './lifecycle/acts.ts';
import { createLifeEvents } from './lifecycle/events.ts';
import { createKeyLife, type KeyLife } from './lifecycle/life.ts';
import { planQuestions } from './plan/questions.ts';
import { query } from './query.ts';
import { createRateLimit, type RateBounds, RateLimited } from './rate-limit.ts';
import { createRecorder } from './recorder.ts';
import { createRecovery, type Recovery } from './recovery/recovery.ts';
import type { Root } from './roots/root.ts';
import { createSealGrants } from './seal-grants.ts';
import { createSteadyClock } from './steady-clock.ts';
import { createOwnWitness, createWitness } from './witnesses.ts';

export interface CustodianOptions {
  /** On the key database, migrated. */
  readonly pool: Pool;
  readonly root: Root;
  /** The root that the installation moves to. */
  readonly nextRoot?: Root | undefined;
  readonly cryptoperiodDays: Config['keys']['cryptoperiodDays'];
  /** Not called before the first key is asked for, so the ledger behind it may be made from `ownLedgerKeys()`. */
  readonly audit: AuditSink;
  readonly tenant: string;
  readonly clock: Clock;
  /** Keys that one person may have asked for through one process. */
  readonly rateLimit: RateBounds & { readonly now: () => number };
  /** Bounds of the keys that the ledger in this process holds. */
  readonly ownKeys: KeyCacheOptions;
  /** How long a destruction waits between its order and its end. */
  readonly waitingMs: number;
  /** How quick jobs and schedule are; tests want them quicker. */
  readonly timing?: Partial<JobTiming>;
  /** Where sealed backups lie. */
  readonly backupDirectory: string;
  readonly log: Log;
}

/** What the composition root decides about managing keys. */
export type ManagementInputs = Pick<ManagementOptions, 'verifyToken' | 'approvals' | 'firstOperators' | 'issuers'>;

/** What it is told as a listener it applies to the KEKs and ledger keys that it holds itself. */
export interface Custodian extends NewsListener {
  /** The active key of each spec, in order; made where there never was one. `seals` are counted before: as in `KeyService`. */
  protect(
    caller: RemoteCaller,
    specs: readonly KeySpec[],
    use: KeyUse,
    seals?: readonly number[],
  ): Promise<GrantedKey[]>;
  /** The keys with these ids, in order. */
  process(caller: RemoteCaller, ids: readonly KeyId[], use: KeyUse): Promise<HandedKey[]>;
  /**
   * The keys of the ledger in this very process, which cannot record beforehand that it fetches what it records with. Order
   * at start: custodian, then the ledger from these keys, then the server. Such an access is written right behind the entry
   * that caused it, and no key leaves this process before that is durable too. They are held as long as `ownKeys` says, so that
   * an entry does not wait for the database, and a key that is fetched again is not recorded again.
   */
  ownLedgerKeys(): KeyService;
  /** Life and end of keys. */
  readonly life: KeyLife;
  /** Rotation, rewrap, move of the root, schedule. */
  readonly jobs: KeyJobs;
  /** The desk for operators: every act and question that this room has. */
  manage(inputs: ManagementInputs): Management;
  /**
   * Compares the key database with what was seen of it before, from now on; the mark of that lies in this directory. To be called
   * before anything is served, once the ledger is open.
   * @throws KeywardError `KEYS_ROLLED_BACK`
   */
  guardAgainstRollback: Recovery['guard'];
  /** Records that somebody without a registered credential asked. */
  recordStranger(correlationId: string): Promise<void>;
  /** Whether the key database answers. */
  ready(): Promise<boolean>;
}

/**
 * Opens the tenant's KEK, or makes the first one.
 * @throws KeywardError `KEYS_ROOT_MISMATCH` | `KEYS_ROOT_UNREADABLE` | `KEYS_NOT_AUTHENTIC` | `DB_UNAVAILABLE`
 */
export async function createCustodian(options: CustodianOptions): Promise<Custodian> {
  const { pool, root, nextRoot, audit, tenant, clock, ownKeys, waitingMs, backupDirectory, log } = options;
  const graves = createGraves({ pool, tenant, log });
  await graves.load();
  const keks = graves.overKeks(createKeks({ pool, root, nextRoot, tenant, clock }));
  const dataKeys = graves.overDataKeys(createDataKeys({ pool, tenant, keks, clock }));
  const events = createAccessEvents(tenant, clock);
  const recorder = createRecorder(audit);
  const kek = await keks.start();
  if (kek) recorder.defer(events.kekOpened(kek.id, kek.created));
  if (root.describe().exportable) log.warn('the root key can be copied: for development only');

  const grantSeals = createSealGrants({
    pool,
    tenant,
    onUsage: (key, usage) => jobs.renewal.onUsage(key, usage),
  });
  const recovery = createRecovery({ pool, tenant, keks, dataKeys, clock, directory: backupDirectory, recorder, log });
  const { eraseFromBackups } = recovery;
  const life = createKeyLife({ pool, tenant, clock, recorder, log, dataKeys, waitingMs, eraseFromBackups });
  const lifeEvents = createLifeEvents(tenant, clock);
  const requireSteadyClock = createSteadyClock({ pool, tenant, clock, recorder, events: lifeEvents, log });
  const settings = createSettings({ pool, tenant, clock, settings: [] });
  const jobs = createKeyJobs({
    ...options,
    keks,
    dataKeys,
    recorder,
    events: lifeEvents,
    readSetting: (setting) => settings.read(setting),
    requireNewest: () => recovery.requireNewest(),
    requireSteadyClock,
    others: { 'destroy what is due': (now) => life.destroyDue(now) },
  });
  const serviceOf = (caller: Caller, witness: Witness, exceptions = life.exceptions): KeySource => {
    const desk = { tenant, dataKeys, grantSeals, renewal: jobs.renewal, exceptions, witness, clock };
    return {
      protect: (specs, use, seals) => serveGranted(desk, protectRequest(caller, specs, use, seals)),
      process: (ids, use) => serveKeys(desk, processRequest(caller, ids, use)),
    };
  };
  const rateLimit = createRateLimit(options.rateLimit, options.rateLimit.now);
  /** The first refusal of a principal is recorded; until he has been quiet, the others are counted in the log. */
  const requireRate = async (caller: RemoteCaller, operation: KeyOperation, use: KeyUse, count: number) => {
    const shortage = rateLimit.take({ caller, actor: use.actor, issuer: use.issuer }, count);
    if (!shortage) return;
    const { refusals } = shortage;
    if (refusals === 1) await witness.refused({ caller, operation, use, keys: [{}] }, 'KEYS_RATE_LIMITED');
    else log.warn('keys refused', { code: 'KEYS_RATE_LIMITED', process: caller, count: refusals });
    throw new RateLimited(shortage);
  };
  const reviewKeks = () =>
    void keks
      .review()
      .catch((error: unknown) => log.warn('opened KEKs not reviewed', { code: asKeywardError(error).code }));
  const witness = createWitness(events, recorder, log);
  // An alarm about what the ledger itself needs could not be recorded without it.
  const unheard = { ...life.exceptions, asked: async () => undefined };
  const own = createKeyCache(serviceOf('custodian', createOwnWitness(events, recorder, log), unheard), ownKeys);
  return {
    async protect(caller, specs, use, seals) {
      recovery.requireNewest();
      await requireRate(caller, 'protect', use, specs.length);
      return serviceOf(caller, witness).protect(specs, use, seals);
    },
    async process(caller, ids, use) {
      recovery.requireNewest();
      await requireRate(caller, 'process', use, ids.length);
      return serviceOf(caller, witness).process(ids, use);
    },
    ownLedgerKeys: () => own,
    life,
    jobs,
    manage: (inputs) =>
      createManagement({
        ...inputs,
        pool,
        tenant,
        clock,
        recorder,
        log,
        acts: [
          createAct({ dataKeys, events: lifeEvents, recorder }),
          ...lifeActs(life),
          ...jobActs(jobs.desk),
          ...recovery.acts,
        ],
        questions: [
          ...lifeQuestions(life),
          ...jobQuestions(jobs.desk),
          ...recovery.questions,
          ...planQuestions(options),
        ],
        settings: Object.values(cryptoperiodSettings(options.cryptoperiodDays)),
        noted: (acts) => recovery.noted(acts),
        requireSteadyClock,
      }),
    guardAgainstRollback: (directory) => recovery.guard(directory),
    recordStranger: (correlationId) => recorder.record([events.stranger(correlationId)]),
    ready: () => answers(pool),
    forget(news) {
      own.forget(news);
      reviewKeks();
      graves.review(news.ids);
    },
    clear() {
      own.clear();
      reviewKeks();
      graves.review();
    },
  };
}

async function answers(pool: Pool): Promise<boolean> {
  try {
    await query(pool, 'SELECT 1', []);
    return true;
  } catch {
    return false;
  }
}
