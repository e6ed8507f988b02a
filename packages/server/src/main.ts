/** The composition root: from a command line to a process or a verb. The only file that knows every room. */
import { createEngine } from '@keyward/sdk/seal';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CliServices, processTerminal, readyScreen, runCli } from './cli/index.ts';
import { explainConfig } from './config/index.ts';
import { createLog, systemClock } from './core/index.ts';
import { postgresVersion } from './db/index.ts';
import { mintDevelopmentToken } from './identity/index.ts';
import {
  loadLocated,
  PROCESS_NAMES,
  type ProcessContext,
  type ProcessName,
  runProcess,
  type Running,
  startAdmin,
  startCustodian,
  startGateway,
  startStore,
  up,
} from './processes/index.ts';

const PROCESSES: Readonly<Record<ProcessName, (context: ProcessContext) => Promise<Running>>> = {
  custodian: startCustodian,
  store: startStore,
  gateway: startGateway,
  admin: startAdmin,
};

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
  mintToken({ ttlSeconds, role, sub, patient, scope, purpose, mfa, ...location }) {
    const { config, paths } = loadLocated(location);
    const request = { role, sub, patient, scope, purpose, mfa, ttlSeconds, audience: config.identity.audience };
    return mintDevelopmentToken(paths, request, systemClock);
  },
  explainConfig: (options) => explainConfig(loadLocated(options)),
  doctorFacts(options) {
    const { config, paths } = loadLocated(options);
    return {
      gatewayPort: config.gateway.port,
      adminPort: config.admin.port,
      developmentRootFile: config.keys.rootFile ?? join(paths.rootKeyDir, 'root.key'),
    };
  },
  postgresVersion,
  sealEngine: () => createEngine().name,
};

/** Runs one command line and ends the process with its status. */
export async function run(argv: readonly string[]): Promise<void> {
  const [first, ...rest] = argv;
  const name = PROCESS_NAMES.find((candidate) => candidate === first);
  process.exit(name ? await runNamed(name, rest) : await runCli(argv, services));
}

async function runNamed(name: ProcessName, args: readonly string[]): Promise<number> {
  const options = { 'data-dir': { type: 'string', default: './.keyward' }, config: { type: 'string' } } as const;
  const { values } = parseArgs({ args: [...args], options });
  const log = createLog(name);
  return runProcess(log, () => {
    const { config, paths } = loadLocated({ dataDir: values['data-dir'], config: values.config });
    return PROCESSES[name]({ config, paths, log });
  });
}

if (import.meta.main) await run(process.argv.slice(2));
