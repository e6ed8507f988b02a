/** The gateway process. */
import { createEngine } from '@keyward/sdk/seal';
import { ensureServerCertificate } from '../ca/index.ts';
import { systemClock } from '../core/index.ts';
import {
  createGatewayServer,
  createSubjectScopes,
  createUpstream,
  DEFAULT_POLICY,
  loadPolicy,
} from '../gateway/index.ts';
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
  } = config.gateway;
  const policy = loadPolicy(policyFile ?? DEFAULT_POLICY);
  const tls = await ensureServerCertificate({ paths, clock: systemClock, hosts: serverHosts(config) });
  const keys = openKeys(context, 'gateway');
  const ledgerPool = openDatabase(paths, 'ledger-writer', 2);
  const audit = openLedger(context, ledgerPool, keys);
  const behind = upstreamUrl === undefined ? { url: STORE_URL, socketPath: storeSocket(paths) } : { url: upstreamUrl };
  const upstream = createUpstream({ ...behind, timeoutMs, maxAnswerBytes });
  const custodianProbe = openProbe('http://custodian.invalid', '/readyz', { socketPath: custodianSocket(paths) });
  const server = createGatewayServer({
    gateway: {
      tenant: config.tenant,
      publicBase: `${(publicUrl ?? originsOf(config).gateway).replace(/\/$/, '')}/fhir`,
      maxBodyBytes,
      policy,
      verifier: openVerifier(context),
      keys,
      engine: createEngine(),
      upstream,
      subjects: createSubjectScopes(),
      audit,
      clock: systemClock,
      log,
    },
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
      await Promise.all([upstream.close(), custodianProbe.close(), ledgerPool.end()]);
    },
  };
}
