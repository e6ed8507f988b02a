/** The gateway process. */
import type { NewsListener } from '@keyward/sdk/client';
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
  type SubjectScopes,
} from '../gateway/index.ts';
import { createIssuerDiscovery } from '../identity/index.ts';
import {
  databaseAnswers,
  openDatabase,
  openKeys,
  openLedger,
  openCustodianProbe,
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
  const subjects = createSubjectScopes();
  const keys = openKeys(context, 'gateway', scopesListener(subjects));
  const ledgerPool = openDatabase(paths, 'ledger-writer', 2);
  const audit = openLedger(context, ledgerPool, keys);
  const behind = upstreamUrl === undefined ? { url: STORE_URL, socketPath: storeSocket(paths) } : { url: upstreamUrl };
  const upstream = createUpstream({ ...behind, timeoutMs, maxAnswerBytes });
  const apis = loadApis(config.apis, { timeoutMs, maxAnswerBytes });
  const custodianProbe = openCustodianProbe(context, 'gateway');
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
      subjects,
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

/** A scope whose keys changed may not be its patient's any more. */
const scopesListener = (subjects: SubjectScopes): NewsListener => ({
  forget({ specs }) {
    for (const { kind, scope } of specs) if (kind === 'subject') subjects.forgetScope(scope);
  },
  clear: () => subjects.forgetAll(),
});
