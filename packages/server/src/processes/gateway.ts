/** The gateway process. */
import { createEngine } from '@keyward/sdk/seal';
import { ensureServerCertificate } from '../ca/index.ts';
import { systemClock } from '../core/index.ts';
import {
  createGatewayServer,
  createKeyedLock,
  createSubjectScopes,
  createUpstream,
  DEFAULT_POLICY,
  loadApis,
  loadPolicy,
  loadProfiles,
} from '../gateway/index.ts';
import { createIssuerDiscovery } from '../identity/index.ts';
import {
  custodianSocket,
  databaseAnswers,
  openDatabase,
  openKeys,
  openLedger,
  openProbe,
  openVerifier,
  originsOf,
  recordProcess,
  serverHosts,
  storeSocket,
} from './parts.ts';
import { loadCatalogue } from './catalogue.ts';
import type { ProcessContext, Running } from './process.ts';

/** The built-in store has no host: it is reached over its socket. */
const STORE_URL = 'http://store.invalid';

export async function startGateway(context: ProcessContext): Promise<Running> {
  const { config, paths, log } = context;
  const {
    upstreamUrl,
    upstreamTimeoutMs: timeoutMs,
    maxUpstreamBytes: maxAnswerBytes,
    host,
    port,
    maxBodyBytes,
    publicUrl,
    policyFile,
    profiles,
    existingData,
  } = config.gateway;
  const policy = loadPolicy(policyFile ?? DEFAULT_POLICY);
  const tls = await ensureServerCertificate({ paths, clock: systemClock, hosts: serverHosts(config) });
  const keys = openKeys(context, 'gateway');
  const ledgerPool = openDatabase(paths, 'ledger-writer', 2);
  const audit = openLedger(context, ledgerPool, keys);
  const behind = upstreamUrl === undefined ? { url: STORE_URL, socketPath: storeSocket(paths) } : { url: upstreamUrl };
  const upstream = createUpstream({ ...behind, timeoutMs, maxAnswerBytes });
  const apis = loadApis(config.apis, { timeoutMs, maxAnswerBytes });
  const custodianProbe = openProbe('http://custodian.invalid', '/readyz', { socketPath: custodianSocket(paths) });
  const server = createGatewayServer({
    gateway: {
      tenant: config.tenant,
      publicBase: `${(publicUrl ?? originsOf(config).gateway).replace(/\/$/, '')}/fhir`,
      maxBodyBytes,
      existingData,
      policy,
      catalogue: loadCatalogue(config),
      profiles: loadProfiles(profiles),
      verifier: openVerifier(context),
      issuer: createIssuerDiscovery({ issuers: config.identity.issuers, clock: systemClock }),
      keys,
      engine: createEngine(),
      upstream,
      subjects: createSubjectScopes(),
      writers: createKeyedLock(timeoutMs),
      audit,
      clock: systemClock,
      log,
    },
    apis,
    tls,
    ready: async () => {
      const [custodian, ledger, store] = await Promise.all([
        custodianProbe.answers(),
        databaseAnswers(ledgerPool),
        upstream.answers(),
      ]);
      return { custodian, ledger, upstream: store };
    },
  });
  await recordProcess(audit, config.tenant, 'gateway', 'start');
  await server.listen(port, host);
  return {
    async stop() {
      await server.close();
      await recordProcess(audit, config.tenant, 'gateway', 'stop');
      await audit.close();
      await Promise.all([
        upstream.close(),
        ...apis.map((api) => api.upstream.close()),
        custodianProbe.close(),
        ledgerPool.end(),
      ]);
    },
  };
}
