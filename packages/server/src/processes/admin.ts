/** The admin process: the API for the CLI and for whoever operates Keyward. */
import { Pool as HttpPool } from 'undici';
import { createAdminServer } from '../admin/index.ts';
import { ensureServerCertificate } from '../ca/index.ts';
import { parseJson, systemClock } from '../core/index.ts';
import { readLedger } from '../ledger/index.ts';
import { custodianSocket, databaseAnswers, openDatabase, openKeys, openLedger, openProbe, openVerifier, storeSocket } from './parts.ts';
import type { ProcessContext, Running } from './process.ts';

export async function startAdmin(context: ProcessContext): Promise<Running> {
  const { config, paths, log } = context;
  const tls = await ensureServerCertificate({ paths, clock: systemClock });
  const keys = openKeys(context, 'admin');
  const writerPool = openDatabase(paths, 'ledger-writer', 1);
  const readerPool = openDatabase(paths, 'ledger-reader', 4);
  const audit = openLedger(context, writerPool, keys);
  const entries = readLedger({ pool: readerPool, keys });
  const store = new HttpPool('http://store.invalid', { connections: 2, socketPath: storeSocket(paths) });
  const probes = {
    custodian: openProbe('http://custodian.invalid', '/readyz', { socketPath: custodianSocket(paths) }),
    gateway: openProbe(`https://localhost:${config.gateway.port}`, '/readyz', { ca: tls.caCertificate }),
  };
  const verifier = openVerifier(context);
  const server = createAdminServer({
    tenant: config.tenant,
    tls,
    verify: (authorization, address) => verifier.verify(authorization, address),
    services: {
      tailLedger: (query) => entries.tail(query),
      atRest: (type, id) => readAtRest(store, type, id),
      ready: async () => {
        const [custodian, gateway, ledger] = await Promise.all([probes.custodian.answers(), probes.gateway.answers(), databaseAnswers(writerPool)]);
        return { custodian, gateway, ledger };
      },
      metrics: () => '',
    },
    audit,
    clock: systemClock,
    log,
  });
  await server.listen({ host: config.admin.host, port: config.admin.port });
  return {
    async stop() {
      await server.close();
      await audit.close();
      await Promise.all([store.destroy(), probes.custodian.close(), probes.gateway.close(), writerPool.end(), readerPool.end()]);
    },
  };
}

/** What the built-in store's database holds of one resource: all of it sealed or blind. */
async function readAtRest(store: HttpPool, type: string, id: string): Promise<unknown> {
  const { statusCode, body } = await store.request({ method: 'GET', path: `/_at-rest/${type}/${id}` });
  const bytes = new Uint8Array(await body.arrayBuffer());
  return statusCode === 200 ? parseJson(bytes) : undefined;
}
