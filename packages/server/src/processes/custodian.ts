/** The custodian process: the only one that holds a KEK. */
import { readOrCreateSecret } from '../config/index.ts';
import { systemClock } from '../core/index.ts';
import {
  createCustodian,
  createCustodianServer,
  createNewsFeed,
  openRoot,
  startNewsListener,
  type Root,
} from '../keys/index.ts';
import type { Ledger } from '../ledger/index.ts';
import { destructionWaitMs } from './destruction.ts';
import { managementInputs } from './operators.ts';
import { custodianListener, custodianSocket } from './custodian-line.ts';
import { keyCacheOptions, openDatabase, openLedger } from './parts.ts';
import type { ProcessContext, Running } from './process.ts';

/** One of them is held by the custodian that leads, for as long as it does. */
const KEY_CONNECTIONS = 7;
/** Held for as long as it lasts, so it is none of those. */
const NEWS_CONNECTIONS = 1;

/** @param held stands in for the configured root, in a rehearsal */
export async function startCustodian(context: ProcessContext, held?: Root): Promise<Running> {
  const { config, paths, log } = context;
  const pool = openDatabase(paths, 'custodian', KEY_CONNECTIONS);
  const newsPool = openDatabase(paths, 'custodian', NEWS_CONNECTIONS);
  const ledgerPool = openDatabase(paths, 'ledger-writer', 1);
  const rootContext = { log, directory: paths.rootKeyDir };
  const root = held ?? (await openRoot(config.keys.root, rootContext));
  const nextRoot = config.keys.nextRoot && (await openRoot(config.keys.nextRoot, rootContext));
  // The ledger needs keys and the custodian needs the ledger: it is not called before the first key is asked for.
  let ledger: Ledger | undefined;
  const audit: Pick<Ledger, 'record'> = {
    record: (events) => (ledger ? ledger.record(events) : Promise.reject(new Error('the ledger is not open yet'))),
  };
  const custodian = await createCustodian({
    pool,
    root,
    nextRoot,
    cryptoperiodDays: config.keys.cryptoperiodDays,
    audit,
    tenant: config.tenant,
    clock: systemClock,
    rateLimit: { ...config.keys.rateLimit, now: () => performance.now() },
    ownKeys: keyCacheOptions(config),
    waitingMs: destructionWaitMs(config.keys),
    backupDirectory: config.keys.backupDirectory ?? paths.backups,
    log,
  });
  ledger = openLedger(context, ledgerPool, custodian.ownLedgerKeys());
  const guard = await custodian.guardAgainstRollback(paths.custodian);
  const management = custodian.manage(managementInputs(context));
  await management.start();
  const credentials = {
    gateway: readOrCreateSecret(paths, 'custodian-gateway'),
    store: readOrCreateSecret(paths, 'custodian-store'),
    admin: readOrCreateSecret(paths, 'custodian-admin'),
  };
  const news = createNewsFeed(custodian);
  const newsListener = await startNewsListener({ pool: newsPool, tenant: config.tenant, feed: news, log });
  const server = createCustodianServer({
    custodian,
    news,
    management,
    socketPath: custodianSocket(paths),
    listen: custodianListener(context),
    credentials,
    clock: systemClock,
    log,
  });
  await server.start();
  custodian.jobs.start();
  return {
    async stop() {
      await server.close();
      await custodian.jobs.close();
      guard.stop();
      await newsListener.stop();
      await ledger?.close();
      await Promise.all([pool.end(), newsPool.end(), ledgerPool.end(), root.close(), nextRoot?.close()]);
    },
  };
}
