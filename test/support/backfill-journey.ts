/** The life of data that was there before Keyward: in plaintext, being sealed under kill -9, sealed, sealed anew, and plaintext again. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { MAIN, type Product, ROOT } from './product.ts';
import type { Resource, UpstreamDoor } from './upstream-door.ts';

export interface Summary {
  readonly complete: boolean;
  readonly types: Readonly<
    Record<string, { found: number; done: number; before: number; clear: number; skipped: Record<string, number> }>
  >;
}

/** Patients with all that identifies, an observation with a note for each, and one hospital, which is not sealed. */
export function existingRecords(patients: number): Resource[] {
  const hospital: Resource = { resourceType: 'Organization', id: 'hospital', name: 'Backfill General' };
  return [hospital, ...Array.from({ length: patients }, (_, index) => recordsOf(index)).flat()];
}

function recordsOf(index: number): Resource[] {
  const id = `bf-${index}`;
  return [
    {
      resourceType: 'Patient',
      id,
      identifier: [{ system: 'urn:oid:1.2.36.146', value: `BFMRN${index}X` }],
      name: [{ family: `Backfillsen${index}`, given: ['Quirina', `Zed${index}`] }],
      telecom: [{ system: 'phone', value: `+49 30 55${String(index).padStart(5, '0')}` }],
      gender: 'other',
      birthDate: `19${String(10 + (index % 90)).padStart(2, '0')}-0${1 + (index % 9)}-11`,
      address: [{ line: [`${index} Plaintext Alley`], city: `Oldtown${index}`, postalCode: `${10_000 + index}` }],
      managingOrganization: { reference: 'Organization/hospital' },
    },
    {
      resourceType: 'Observation',
      id: `bf-obs-${index}`,
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '29463-7' }] },
      subject: { reference: `Patient/${id}`, display: `Quirina Backfillsen${index}` },
      valueQuantity: { value: 61.5, unit: 'kg' },
      note: [{ text: `Backfillsen${index} called back` }],
    },
  ];
}

/** The acceptance of E9. */
export const HOW_MANY_KILLS = 5;

/** Texts that must not stand in a sealed record. */
export const IDENTIFYING = /Backfillsen|BFMRN\d+X|Quirina|Plaintext Alley|Oldtown|\+49 30 55/;

/** What a server may decide by itself. */
export const withoutMeta = ({ meta: _meta, text: _text, ...rest }: Resource) => rest;

/** Runs `keyward seal backfill` to its end; answers what it said in JSON. */
export async function backfill(
  product: Product,
  ...flags: readonly string[]
): Promise<{ status: number; summary: Summary }> {
  const child = start(product, flags);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => (text += part));
  const status = await ended(child);
  return { status, summary: JSON.parse(text) as Summary };
}

function start(product: Product, flags: readonly string[]): ChildProcess {
  const args = [MAIN, 'seal', 'backfill', '--json', '--data-dir', product.dataDir, ...flags];
  return spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
}

const ended = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => child.once('exit', (code) => resolve(code ?? -1)));

/** Starts it, and ends it with SIGKILL once it has shown `lines` lines of progress. */
async function killedBackfill(product: Product, lines: number, ...flags: readonly string[]): Promise<void> {
  const child = start(product, flags);
  const gone = ended(child);
  let seen = 0;
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    seen += part.split('\n').length - 1;
    if (seen >= lines) child.kill('SIGKILL');
  });
  await gone;
}

/** Kills the gateway process itself, as the kernel would; the supervisor brings it back. */
function killGateway(product: Product): void {
  const isGateway = (words: readonly string[]) => words.includes('gateway') && words.includes(product.dataDir);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    if (isGateway(commandLine(pid))) process.kill(Number(pid), 'SIGKILL');
}

/** Empty for a process that has just ended. */
function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

const sums = ({ types }: Summary) =>
  Object.values(types).reduce(
    (sum, { found, done, before, clear, skipped }) => ({
      found: sum.found + found,
      told: sum.told + done + before + clear + Object.values(skipped).reduce((all, one) => all + one, 0),
    }),
    { found: 0, told: 0 },
  );

export interface Fire {
  readonly product: Product;
  readonly door: UpstreamDoor;
  readonly records: readonly Resource[];
  readonly kills: number;
  readonly pageSize: number;
  /** Tells the records from others that the upstream holds. */
  readonly isOurs: (record: Resource) => boolean;
}

const TYPES = ['Patient', 'Observation', 'Organization'] as const;

/** Seals all records, killed on the way, and asserts that none was lost, doubled or left readable. */
export async function sealUnderFire(t: TestContext, fire: Fire): Promise<void> {
  const { product, door, records, kills, pageSize, isOurs } = fire;
  const flags = ['--type', ...TYPES, '--page-size', String(pageSize)];
  const others = (await Promise.all(TYPES.map((type) => door.all(type)))).flat().filter((record) => !isOurs(record));
  for (let kill = 0; kill < kills; kill++) {
    await killedBackfill(product, 2, ...flags);
    if (kill % 2 === 1) killGateway(product);
  }
  const startedAt = performance.now();
  const { status, summary } = await backfill(product, ...flags);
  t.diagnostic(`last run: ${JSON.stringify(summary.types)} in ${Math.round(performance.now() - startedAt)} ms`);
  assert.deepEqual([status, summary.complete], [0, true]);
  const all = records.length + others.length;
  assert.deepEqual(sums(summary), { found: all, told: all });
  for (const type of TYPES) {
    const stored = (await door.all(type)).filter(isOurs);
    assert.equal(stored.length, records.filter(({ resourceType }) => resourceType === type).length, type);
    assert.doesNotMatch(JSON.stringify(stored.map(withoutMeta)), IDENTIFYING, type);
  }
}
