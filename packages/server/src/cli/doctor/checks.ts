/** The checks of `doctor`, as a table: each finds one thing out and says what to do about it. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { asKeywardError, type DataPaths, ERRORS } from '../../core/index.ts';
import type { RootDescription } from '../../keys/index.ts';
import type { DoctorFacts } from '../context.ts';
import type { Instance } from '../instance.ts';
import { checkCertificates } from './certificates.ts';
import { checkReadiness } from './readiness.ts';
import { checkModes } from './modes.ts';
import { checkPorts } from './ports.ts';

export type Level = 'ok' | 'warn' | 'fail';

export interface Finding {
  readonly level: Level;
  readonly finding: string;
  readonly hint?: string;
}

export interface CheckResult extends Finding {
  readonly name: string;
}

export interface DoctorInputs {
  readonly paths: DataPaths;
  readonly now: Date;
  /** e.g. `26.1.0` */
  readonly runtimeVersion: string;
  readonly instance: Instance | undefined;
  readonly facts: () => DoctorFacts;
  readonly describeRoot: () => Promise<RootDescription>;
  readonly postgresVersion: () => Promise<string>;
  readonly sealEngine: () => string;
}

export interface Check {
  readonly name: string;
  run(inputs: DoctorInputs): Finding | Promise<Finding>;
}

export const CHECKS: readonly Check[] = [
  { name: 'runtime', run: checkRuntime },
  { name: 'configuration', run: checkConfiguration },
  { name: 'data directory', run: checkDataDirectory },
  { name: 'key files', run: ({ paths }) => checkModes(paths) },
  { name: 'root key', run: checkRoot },
  { name: 'PostgreSQL', run: checkPostgres },
  { name: 'seal engine', run: checkSealEngine },
  { name: 'certificate', run: checkCertificates },
  { name: 'ports', run: checkPorts },
  { name: 'instance', run: checkReadiness },
];

/** One check that throws is one failed check; the others still run. */
export async function runChecks(checks: readonly Check[], inputs: DoctorInputs): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks) results.push({ name: check.name, ...(await runOne(() => check.run(inputs))) });
  return results;
}

async function runOne(run: () => Finding | Promise<Finding>): Promise<Finding> {
  try {
    return await run();
  } catch (thrown) {
    const { code, detail, row } = asKeywardError(thrown);
    return { level: 'fail', finding: `${code} ${row.text}${detail ? ` (${detail})` : ''}`, hint: row.hint };
  }
}

/** First release that strips types without a flag and without a warning. */
const RUNTIME_LEAST = { major: 24, minor: 12 };

function checkRuntime({ runtimeVersion }: DoctorInputs): Finding {
  const [major = 0, minor = 0] = runtimeVersion.split('.').map(Number);
  const enough = major > RUNTIME_LEAST.major || (major === RUNTIME_LEAST.major && minor >= RUNTIME_LEAST.minor);
  if (enough) return { level: 'ok', finding: `Node.js ${runtimeVersion}` };
  const hint = `Run "npm ci": it installs a runtime from ${RUNTIME_LEAST.major}.${RUNTIME_LEAST.minor} on.`;
  return { level: 'fail', finding: `Node.js ${runtimeVersion} is too old`, hint };
}

function checkConfiguration({ facts }: DoctorInputs): Finding {
  const { gatewayPort, adminPort } = facts();
  return { level: 'ok', finding: `valid; it names the ports ${gatewayPort} and ${adminPort}` };
}

function checkDataDirectory({ paths }: DoctorInputs): Finding {
  const there = existsSync(paths.root);
  const writable = isWritable(there ? paths.root : nearestExisting(paths.root));
  if (!writable) return { level: 'fail', finding: `${paths.root} cannot be written`, hint: ERRORS.UP_DATA_DIR.hint };
  return { level: 'ok', finding: there ? paths.root : `${paths.root} will be made by "keyward up"` };
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function checkRoot({ describeRoot }: DoctorInputs): Promise<Finding> {
  const { provider, key, hardware, exportable, region } = await describeRoot();
  const traits = [
    hardware ? 'in hardware' : 'in software',
    exportable ? 'can be copied' : 'cannot be exported',
    region,
  ];
  const finding = `${provider} ${key} (${traits.filter(Boolean).join(', ')})`;
  const hint =
    'Good for a trial. For patients, keep the root key in an HSM or KMS: docs/how-to/root-pkcs11.md and its neighbours.';
  return exportable ? { level: 'warn', finding, hint } : { level: 'ok', finding };
}

async function checkPostgres({ postgresVersion }: DoctorInputs): Promise<Finding> {
  return { level: 'ok', finding: await postgresVersion() };
}

function checkSealEngine({ sealEngine }: DoctorInputs): Finding {
  return { level: 'ok', finding: sealEngine() };
}
