/** The composition root: from a command line to a process or a verb. The only file that knows every room. */
import { createEngine } from '@keyward/sdk/seal';
import { type CliServices, processTerminal, readyScreen, runCli } from './cli/index.ts';
import { explainConfig } from './config/index.ts';
import { createLog, systemClock } from './core/index.ts';
import { postgresVersion } from './db/index.ts';
import { DEFAULT_POLICY, loadPolicy } from './gateway/index.ts';
import { mintDevelopmentToken } from './identity/index.ts';
import { openRoot } from './keys/index.ts';
import {
  acceptDatabase,
  loadCatalogue,
  loadLocated,
  PROCESS_NAMES,
  type LocationOptions,
  type ProcessContext,
  type ProcessName,
  rehearseRecovery,
  restoreKeys,
  runProcess,
  type Running,
  startAdmin,
  startCustodian,
  startGateway,
  startStore,
  up,
} from './processes/index.ts';

interface ProcessEntry {
  readonly description: string;
  start(context: ProcessContext): Promise<Running>;
}

const PROCESSES: Readonly<Record<ProcessName, ProcessEntry>> = {
  custodian: { start: startCustodian, description: 'Hold the keys, and record each access to them.' },
  store: { start: startStore, description: 'Run the built-in FHIR store.' },
  gateway: { start: startGateway, description: 'Seal and open what passes between clients and the FHIR server.' },
  admin: { start: startAdmin, description: 'Serve the API for this command line, probes and Prometheus.' },
};

/** What a verb finds out it tells on the terminal, not in a log. */
const SILENT = createLog('cli', { write: () => undefined });

const services: CliServices = {
  up: ({ dataDir, config, gatewayPort, adminPort }) => {
    const { out } = processTerminal();
    return up({
      dataDir,
      config,
      gatewayPort,
      adminPort,
      say: (line) => out.write(`${line}\n`),
      onReady: (instance) => out.write(readyScreen({ ...instance, dataDir }, out)),
    });
  },
  processes: PROCESS_NAMES.map((name) => ({
    name,
    description: PROCESSES[name].description,
    run: (location) => runOne(name, location),
  })),
  mintToken({ ttlSeconds, role, sub, patient, scope, purpose, mfa, ...location }) {
    const { config, paths } = loadLocated(location);
    const request = { role, sub, patient, scope, purpose, mfa, ttlSeconds, audience: config.identity.audience };
    return mintDevelopmentToken(paths, request, systemClock);
  },
  explainConfig: (options) => explainConfig(loadLocated(options)),
  sealing(options) {
    const { config } = loadLocated(options);
    const { openedBy } = loadPolicy(config.gateway.policyFile ?? DEFAULT_POLICY);
    return { catalogue: loadCatalogue(config), openedBy };
  },
  doctorFacts(options) {
    const { config } = loadLocated(options);
    return {
      gatewayPort: config.gateway.port,
      adminPort: config.admin.port,
    };
  },
  async describeRoot(options) {
    const { config, paths } = loadLocated(options);
    const root = await openRoot(config.keys.root, { log: SILENT, directory: paths.rootKeyDir });
    await root.close();
    return root.describe();
  },
  restoreKeys,
  rehearseRecovery,
  acceptRollback: acceptDatabase,
  postgresVersion,
  sealEngine: () => createEngine().name,
};

/** Runs one command line and ends the process with its status. */
export async function run(argv: readonly string[]): Promise<void> {
  process.exit(await runCli(argv, services));
}

/** Runs one process until it is told to stop. @throws why it could not start. */
async function runOne(name: ProcessName, location: LocationOptions): Promise<void> {
  const log = createLog(name);
  let failure: unknown;
  const status = await runProcess(log, async () => {
    try {
      const { config, paths } = loadLocated(location);
      return await PROCESSES[name].start({ config, paths, log });
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    }
  });
  if (status === 0) return;
  // A supervisor has heard why; whoever started it by hand has not.
  if (process.send) process.exit(status);
  throw failure;
}

if (import.meta.main) await run(process.argv.slice(2));
