/** The admin process: the API for the CLI and for whoever operates Keyward. */
import type { Json } from '@keyward/sdk/seal';
import { Pool as HttpPool } from 'undici';
import { createAdminServer } from '../admin/index.ts';
import { ensureServerCertificate } from '../ca/index.ts';
import { KeywardError, parseJson, systemClock } from '../core/index.ts';
import { readLedger, usesOfKeys } from '../ledger/index.ts';
import { openKeyManagement } from './key-management.ts';
import {
  databaseAnswers,
  openDatabase,
  openKeys,
  openLedger,
  openCustodianProbe,
  openProbe,
  openVerifier,
  originsOf,
  recordProcess,
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
  const ledgerReader = { pool: readerPool, keys, tenant: config.tenant };
  const entries = readLedger(ledgerReader);
  const management = openKeyManagement(context);
  const store = new HttpPool('http://store.invalid', { connections: 2, socketPath: storeSocket(paths) });
  const probes = {
    custodian: openCustodianProbe(context, 'admin'),
    gateway: openProbe(originsOf(config).gateway, '/readyz', { ca: tls.caCertificate }),
  };
  const verifier = openVerifier(context);
  const server = createAdminServer({
    tenant: config.tenant,
    tls,
    verify: (authorization, address) => verifier.verify(authorization, address),
    services: {
      tailLedger: (query) => entries.tail(query),
      atRest: (type, id) => {
        if (config.gateway.upstreamUrl !== undefined) throw new KeywardError('ADMIN_NO_STORE');
        return readAtRest(store, type, id);
      },
      manageKeys: (call) => management.send(call),
      usesOfKeys: (keyIds, since) => usesOfKeys(ledgerReader, keyIds, since),
      ready: async () => {
        const [custodian, gateway, ledger] = await Promise.all([
          probes.custodian.answers(),
          probes.gateway.answers(),
          databaseAnswers(writerPool),
        ]);
        return { custodian, gateway, ledger };
      },
    },
    audit,
    clock: systemClock,
    log,
  });
  await recordProcess(audit, config.tenant, 'admin', 'start');
  await server.listen({ host: config.admin.host, port: config.admin.port });
  return {
    async stop() {
      await server.close();
      await recordProcess(audit, config.tenant, 'admin', 'stop');
      await audit.close();
      await Promise.all([
        store.destroy(),
        management.close(),
        probes.custodian.close(),
        probes.gateway.close(),
        writerPool.end(),
        readerPool.end(),
      ]);
    },
  };
}

/** What the built-in store's database holds of one resource, and what it received in place of the sealed values. */
async function readAtRest(store: HttpPool, type: string, id: string): Promise<unknown> {
  const held = (await getJson(store, `/_at-rest/${type}/${id}`)) as { readonly index: Json } | undefined;
  if (held === undefined) return undefined;
  return {
    ...held,
    index: withoutClinicalValues(held.index),
    received: sealedOnly(await getJson(store, `/${type}/${id}`)),
  };
}

/** Columns of index rows that say what is indexed, not what its value is. */
const STRUCTURE: ReadonlySet<string> = new Set(['param', 'target_type']);

/** Index rows with their values left out, unless blind: a code or a date is clinical content. */
function withoutClinicalValues(index: Json): Json {
  const kept = (name: string, value: Json): Json =>
    STRUCTURE.has(name) || (typeof value === 'string' && SEALED.test(value)) ? value : '(not shown)';
  const masked = (row: Json): Json =>
    Object.fromEntries(Object.entries(row as object).map(([name, value]) => [name, kept(name, value as Json)]));
  return Object.fromEntries(
    Object.entries(index as object).map(([table, rows]) => [table, (rows as Json[]).map(masked)]),
  );
}

const SEALED = /^(kw1\.|kwi1|urn:keyward:)/;

/** Tokens, indexes and marks where they stand; codes, dates and references are clinical content, and nobody's who works on this API. */
function sealedOnly(value: Json | undefined): Json {
  if (typeof value === 'string' && SEALED.test(value)) return value;
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return null;
  if (Array.isArray(value)) return value.map(sealedOnly);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, sealedOnly(member)]));
}

/** Undefined when there is none. @throws KeywardError `GATEWAY_UPSTREAM_UNAVAILABLE` */
async function getJson(store: HttpPool, path: string): Promise<Json | undefined> {
  const { statusCode, body } = await store.request({ method: 'GET', path }).catch((cause: unknown) => {
    throw new KeywardError('GATEWAY_UPSTREAM_UNAVAILABLE', { cause });
  });
  const bytes = new Uint8Array(await body.arrayBuffer());
  if (statusCode === 404 || statusCode === 410) return undefined;
  if (statusCode !== 200) throw new KeywardError('GATEWAY_UPSTREAM_UNAVAILABLE');
  return parseJson(bytes, ANSWER_LIMITS);
}
