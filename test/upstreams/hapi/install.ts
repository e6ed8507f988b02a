/** HAPI FHIR from Maven Central: its jars through the ordinary client, our one class compiled, both remembered for the next run. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ROOT } from '../../support/product.ts';

const POM = join(import.meta.dirname, 'pom.xml');
const SOURCE = join(import.meta.dirname, 'HapiServer.java');
const OLDEST_JAVA = 17;
/** About 300 MB on the first run. */
const DOWNLOAD_TIMEOUT_MS = 480_000;

export type HapiInstallation = { readonly classPath: string } | { readonly missing: string };

/** @returns why it cannot be had, where Java, Maven or their registry are not there */
export function installHapi(): HapiInstallation {
  const missing = missingTool();
  if (missing) return { missing };
  const sources = readFileSync(POM, 'utf8') + readFileSync(SOURCE, 'utf8');
  const cache = join(ROOT, 'node_modules/.cache/keyward-hapi', createHash('sha256').update(sources).digest('hex'));
  const jars = join(cache, 'class-path.txt');
  mkdirSync(cache, { recursive: true });
  if (!isWhole(jars)) {
    const maven = run('mvn', ['-B', '-q', '-f', POM, 'dependency:build-classpath', `-Dmdep.outputFile=${jars}`]);
    if (maven !== 0) return { missing: 'Maven could not fetch HAPI FHIR' };
  }
  const classPath = [cache, readFileSync(jars, 'utf8').trim()].join(delimiter);
  const isCompiled = existsSync(join(cache, 'HapiServer.class'));
  if (!isCompiled && run('javac', ['-proc:none', '-cp', classPath, '-d', cache, SOURCE]) !== 0)
    throw new Error('HapiServer.java does not compile');
  return { classPath };
}

function missingTool(): string | undefined {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  const version = Number(/version "(\d+)/.exec(java.stderr)?.[1]);
  if (!(version >= OLDEST_JAVA)) return `no Java ${OLDEST_JAVA} or newer`;
  if (run('javac', ['-version']) !== 0) return 'no javac';
  if (run('mvn', ['-version']) !== 0) return 'no mvn';
  return undefined;
}

/** Whether every jar it names is still there. */
const isWhole = (jars: string): boolean =>
  existsSync(jars) && readFileSync(jars, 'utf8').trim().split(delimiter).every(existsSync);

const run = (command: string, args: readonly string[]): number | null =>
  spawnSync(command, args, { stdio: 'ignore', timeout: DOWNLOAD_TIMEOUT_MS }).status;
