/** Whether the certificates of the CA and of the listeners are valid, and for how long. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { DataPaths } from '../../core/index.ts';
import type { DoctorInputs, Finding, Level } from './checks.ts';

const MS_PER_DAY = 86_400_000;
/** A start renews what has less than a third of its life left, which is 30 of a server certificate's 90 days. */
const EXPIRY_WARNING_DAYS = 30;

const HINT =
  'Stop Keyward and start it again, which renews its certificates; give clients the new ca.pem if it changed.';

export function checkCertificates({ paths, now }: DoctorInputs): Finding {
  const files = certificateFiles(paths);
  if (files.length === 0) return { level: 'ok', finding: 'none yet; "keyward up" makes them' };
  const judged = files.map((file) => judge(relative(paths.root, file), endOf(file), now));
  const finding = judged.map((one) => one.finding).join(', ');
  const level = WORST_FIRST.find((candidate) => judged.some((one) => one.level === candidate)) ?? 'ok';
  return level === 'ok' ? { level, finding } : { level, finding, hint: HINT };
}

const WORST_FIRST: readonly Level[] = ['fail', 'warn', 'ok'];

function judge(name: string, end: Date | undefined, now: Date): Finding {
  if (!end) return { level: 'fail', finding: `${name} holds no certificate` };
  const day = end.toISOString().slice(0, 10);
  const days = (end.getTime() - now.getTime()) / MS_PER_DAY;
  if (days < 0) return { level: 'fail', finding: `${name} ended ${day}` };
  return { level: days < EXPIRY_WARNING_DAYS ? 'warn' : 'ok', finding: `${name} is valid until ${day}` };
}

function certificateFiles(paths: DataPaths): string[] {
  const inFolder = existsSync(paths.ca) ? readdirSync(paths.ca).map((name) => join(paths.ca, name)) : [];
  return [paths.caCertificate, ...inFolder].filter((file) => file.endsWith('.pem') && existsSync(file));
}

/** The server's private key stands in one file with its certificate: only the public part is taken. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/;

/** Undefined when the file holds no certificate. */
function endOf(file: string): Date | undefined {
  const [pem] = CERTIFICATE.exec(readFileSync(file, 'utf8')) ?? [];
  try {
    return pem === undefined ? undefined : new X509Certificate(pem).validToDate;
  } catch {
    return undefined;
  }
}
