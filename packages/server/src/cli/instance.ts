/** The running instance, as `keyward up` describes it in run/instance.json. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type DataPaths, KeywardError } from '../core/index.ts';

const instance = z.strictObject({
  /** The supervisor. */
  pid: z.int().min(1),
  gatewayUrl: z.url({ protocol: /^https$/ }),
  adminUrl: z.url({ protocol: /^https$/ }),
  ready: z.literal(true),
});
export type Instance = z.infer<typeof instance>;

export const instanceFile = (paths: DataPaths): string => join(paths.run, 'instance.json');

/** FHIR base of a gateway, whether its origin or its base is given. */
export const fhirBase = (gatewayUrl: string): string => new URL('/fhir', gatewayUrl).href;

export function writeInstance(paths: DataPaths, value: Instance): void {
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  const draft = `${instanceFile(paths)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  renameSync(draft, instanceFile(paths));
}

/** @throws KeywardError `CLI_NOT_READY` when nothing runs on this data directory. */
export function readInstance(paths: DataPaths): Instance {
  const found = findInstance(paths);
  if (!found) throw new KeywardError('CLI_NOT_READY', { detail: `looked in ${paths.root}` });
  return found;
}

/** The instance, if its file is there and its process alive: a killed one leaves the file behind. */
export function findInstance(paths: DataPaths): Instance | undefined {
  const parsed = instance.safeParse(readJson(instanceFile(paths)));
  return parsed.success && isAlive(parsed.data.pid) ? parsed.data : undefined;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // The process is there and belongs to someone else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
