/** The custodian process: the only one that holds a KEK. */
import { join } from 'node:path';
import { readOrCreateSecret } from '../config/index.ts';
import { systemClock } from '../core/index.ts';
import { createCustodian, createCustodianServer, localRoot } from '../keys/index.ts';
import type { Ledger } from '../ledger/index.ts';
import { custodianSocket, keyCacheOptions, openDatabase, openLedger } from './parts.ts';
import type { ProcessContext, Running } from './process.ts';

const KEY_CONNECTIONS = 6;

export async function startCustodian(context: ProcessContext): Promise<Running> {
  const { config, paths, log } = context;
  const pool = openDatabase(paths, 'custodian', KEY_CONNECTIONS);
  const ledgerPool = openDatabase(paths, 'ledger-writer', 1);
  const root = await localRoot.open({ file: config.keys.rootFile ?? join(paths.rootKeyDir, 'root.key') });
  // The ledger needs keys and the custodian needs the ledger: it is not called before the first key is asked for.
  let ledger: Ledger | undefined;
  const audit: Pick<Ledger, 'record'> = {
    record: (events) => (ledger ? ledger.record(events) : Promise.reject(new Error('the ledger is not open yet'))),
  };
  const custodian = await createCustodian({
    pool,
    root,
    audit,
    tenant: config.tenant,
    clock: systemClock,
    ownKeys: keyCacheOptions(config),
    log,
  });
  ledger = openLedger(context, ledgerPool, custodian.ownLedgerKeys());
  const credentials = {
    gateway: readOrCreateSecret(paths, 'custodian-gateway'),
    store: readOrCreateSecret(paths, 'custodian-store'),
    admin: readOrCreateSecret(paths, 'custodian-admin'),
  };
  const server = createCustodianServer({
    custodian,
    socketPath: custodianSocket(paths),
    credentials,
    clock: systemClock,
    log,
  });
  await server.start();
  return {
    async stop() {
      await server.close();
      await ledger?.close();
      await Promise.all([pool.end(), ledgerPool.end()]);
    },
  };
}
