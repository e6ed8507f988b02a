/** A custodian in a process of its own, for tests that kill it. Settings as JSON in the first argument. */
import { join } from 'node:path';
import { systemClock } from '../../core/index.ts';
import { openPool } from '../../db/index.ts';
import { createCustodian } from '../custodian.ts';
import { createNewsFeed } from '../news/news-feed.ts';
import { startNewsListener } from '../news/news-listener.ts';
import { localRoot } from '../roots/local/local.ts';
import { createMemoryLedger, CRYPTOPERIOD_DAYS, type KeyDatabase, OWN_KEYS, RATE_LIMIT, testLog } from '../testing.ts';
import type { CustodianCredentials } from './credentials.ts';
import { createCustodianServer } from './server.ts';

interface ChildSettings {
  readonly connection: KeyDatabase['connection'];
  readonly directory: string;
  /** Folder for its socket in that directory, where several custodians share one. */
  readonly sockets?: string;
  readonly tenant: string;
}

export const CHILD_CREDENTIALS: CustodianCredentials = {
  gateway: 'test-credential-of-the-gateway-000000000000',
  store: 'test-credential-of-the-store-00000000000000',
  admin: 'test-credential-of-the-admin-00000000000000',
};

async function run({ connection, directory, tenant, sockets = 'sockets' }: ChildSettings): Promise<void> {
  const custodian = await createCustodian({
    pool: openPool(connection, { max: 4, applicationName: 'keys test child' }),
    root: await localRoot.open({ file: join(directory, 'root', 'root.key') }),
    audit: createMemoryLedger(),
    tenant,
    clock: systemClock,
    cryptoperiodDays: CRYPTOPERIOD_DAYS,
    waitingMs: 7 * 86_400_000,
    backupDirectory: join(directory, 'backups'),
    rateLimit: RATE_LIMIT,
    ownKeys: OWN_KEYS,
    log: testLog(),
  });
  const news = createNewsFeed(custodian);
  const newsPool = openPool(connection, { max: 1, applicationName: 'keys test child, news' });
  await startNewsListener({ pool: newsPool, tenant, feed: news, log: testLog() });
  const server = createCustodianServer({
    custodian,
    news,
    socketPath: join(directory, sockets, 'custodian.sock'),
    credentials: CHILD_CREDENTIALS,
    clock: systemClock,
    log: testLog(),
  });
  await server.start();
  process.stdout.write('ready\n');
}

if (import.meta.main) await run(JSON.parse(process.argv[2]!) as ChildSettings);
