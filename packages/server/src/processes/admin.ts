/** The admin process: the API for the CLI and for whoever operates Keyward. */
import { Pool as HttpPool } from 'undici';
import { createAdminServer } from '../admin/index.ts';
import { ensureServerCertificate } from '../ca/index.ts';
import { KeywardError, parseJson, systemClock } from '../core/index.ts';
import { readLedger } from '../ledger/index.ts';
import {
  custodianSocket,
  databaseAnswers,
  openDatabase,
  openKeys,
  openLedger,
  openProbe,
  openVerifier,
  serverHosts,
  storeSocket,
} from './parts.ts';
import type { ProcessContext, Running } from './process.ts';

/** The store's bodies may nest as deeply as the gateway's answers. */
const ANSWER_LIMITS = { maxDepth: 96 };

export async function startAdmin(context: ProcessContext): Promise<Running> {
  const { config, paths, log } = context;
  const tls = await ensureServerCertificate({ paths, clock: systemClock, hosts: serverHosts(config) });
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
        const [custodian, gateway, ledger] = await Promise.all([
          probes.custodian.answers(),
          probes.gateway.answers(),
          databaseAnswers(writerPool),
        ]);
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
      await Promise.all([
        store.destroy(),
        probes.custodian.close(),
        probes.gateway.close(),
        writerPool.end(),
        readerPool.end(),
      ]);
    },
  };
}

/** What the built-in store's database holds of one resource, and the sealed resource it received: nothing of it is in clear. */
async function readAtRest(store: HttpPool, type: string, id: string): Promise<unknown> {
  const held = await getJson(store, `/_at-rest/${type}/${id}`);
  if (held === undefined) return undefined;
  return { ...(held as object), received: await getJson(store, `/${type}/${id}`) };
}

/** Undefined when there is none. @throws KeywardError `GATEWAY_UPSTREAM_UNAVAILABLE` */
async function getJson(store: HttpPool, path: string): Promise<unknown> {
  const { statusCode, body } = await store.request({ method: 'GET', path });
  const bytes = new Uint8Array(await body.arrayBuffer());
  if (statusCode === 404 || statusCode === 410) return undefined;
  if (statusCode !== 200) throw new KeywardError('GATEWAY_UPSTREAM_UNAVAILABLE');
  return parseJson(bytes, ANSWER_LIMITS);
}
