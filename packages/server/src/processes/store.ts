/** The built-in store's process: a FHIR server behind the gateway. */
import { systemClock } from '../core/index.ts';
import { createStoreServer } from '../store/index.ts';
import { openDatabase, openKeys, storeSocket } from './parts.ts';
import type { ProcessContext, Running } from './process.ts';

const STORE_CONNECTIONS = 12;

export async function startStore(context: ProcessContext): Promise<Running> {
  const { config, paths, log } = context;
  const pool = openDatabase(paths, 'store', STORE_CONNECTIONS);
  const server = createStoreServer({
    tenant: config.tenant,
    pool,
    keys: openKeys(context, 'store'),
    clock: systemClock,
    log,
  });
  await server.listen(storeSocket(paths));
  return {
    async stop() {
      await server.close();
      await pool.end();
    },
  };
}
