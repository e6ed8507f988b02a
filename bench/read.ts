/**
 * `npm run bench [-- --json]`: reading a patient through the gateway beside the same request sent straight to the FHIR
 * server behind it (the built-in store), in alternating rounds of one run. Load, gateway, store and database share the cores.
 */
import assert from 'node:assert/strict';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import type { Product } from '../test/support/product.ts';
import { createPatients, withProduct } from './bench-product.ts';
import { type Figures, figuresOf, read, runRound, type Sample, type Target } from './load.ts';

const CALLERS = [1, 8, 32] as const;
/** Rounds of each target for each number of callers; together below half a minute. */
const ROUNDS = 3;
const ROUND_MS = 1_250;
const WARM_UP_MS = 1_000;

const HEADERS = { accept: 'application/fhir+json' };

interface Result {
  readonly callers: number;
  readonly upstream: Figures;
  readonly gateway: Figures;
}

async function measure(product: Product): Promise<Result[]> {
  const token = await product.token({ role: 'clinician' });
  const ids = await createPatients(product, token);
  const targets = openTargets(product, token);
  await assertSealedBehind(targets, ids);
  for (const target of Object.values(targets)) await runRound(target, ids, Math.max(...CALLERS), WARM_UP_MS);
  const results: Result[] = [];
  for (const callers of CALLERS) results.push({ callers, ...(await compare(targets, ids, callers)) });
  await Promise.all(Object.values(targets).map(({ pool }) => pool.close()));
  return results;
}

type Targets = Readonly<Record<'upstream' | 'gateway', Target>>;

function openTargets(product: Product, token: string): Targets {
  const connections = Math.max(...CALLERS);
  const socketPath = join(product.paths.sockets, 'store.sock');
  return {
    upstream: {
      pool: new Pool('http://store.invalid', { socketPath, connections }),
      path: (id) => `/Patient/${id}`,
      headers: HEADERS,
    },
    gateway: {
      pool: new Pool(`https://localhost:${product.gatewayPort}`, { connect: { ca: product.ca }, connections }),
      path: (id) => `/fhir/Patient/${id}`,
      headers: { ...HEADERS, authorization: `Bearer ${token}` },
    },
  };
}

/** What is compared is the same record, sealed on one side and opened on the other. */
async function assertSealedBehind({ upstream, gateway }: Targets, [id = '']: readonly string[]): Promise<void> {
  const { name } = JSON.parse(await read(gateway, id)) as { name: { family: string }[] };
  const family = name[0]?.family ?? '';
  assert.ok(
    family.length > 0 && !(await read(upstream, id)).includes(family),
    'the record behind the gateway is not sealed',
  );
}

async function compare(targets: Targets, ids: readonly string[], callers: number): Promise<Omit<Result, 'callers'>> {
  const rounds: Record<keyof Targets, Sample[]> = { upstream: [], gateway: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of ['upstream', 'gateway'] as const) {
      rounds[name].push(await runRound(targets[name], ids, callers, ROUND_MS));
    }
  }
  return { upstream: figuresOf(rounds.upstream), gateway: figuresOf(rounds.gateway) };
}

const machine = () => ({
  cores: availableParallelism(),
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  node: process.version,
});

const COLUMNS: readonly (readonly [title: string, value: (result: Result) => string])[] = [
  ['callers', ({ callers }) => String(callers)],
  ['upstream req/s', ({ upstream }) => upstream.requestsPerSecond.toFixed(0)],
  ['gateway req/s', ({ gateway }) => gateway.requestsPerSecond.toFixed(0)],
  ['ratio', ({ upstream, gateway }) => (gateway.requestsPerSecond / upstream.requestsPerSecond).toFixed(2)],
  ['upstream p50 ms', ({ upstream }) => upstream.p50Ms.toFixed(2)],
  ['gateway p50 ms', ({ gateway }) => gateway.p50Ms.toFixed(2)],
  ['ratio', ({ upstream, gateway }) => (gateway.p50Ms / upstream.p50Ms).toFixed(2)],
  ['upstream p99 ms', ({ upstream }) => upstream.p99Ms.toFixed(2)],
  ['gateway p99 ms', ({ gateway }) => gateway.p99Ms.toFixed(2)],
  ['ratio', ({ upstream, gateway }) => (gateway.p99Ms / upstream.p99Ms).toFixed(2)],
];

function table(results: readonly Result[]): string {
  const line = (cells: readonly string[]) =>
    cells.map((cell, at) => cell.padStart(COLUMNS[at]?.[0].length ?? 0)).join('  ');
  return [COLUMNS.map(([title]) => title), ...results.map((result) => COLUMNS.map(([, value]) => value(result)))]
    .map(line)
    .join('\n');
}

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
await withProduct(async (product) => {
  const results = await measure(product);
  const { cores, processor, node } = machine();
  if (values.json) console.log(JSON.stringify({ machine: machine(), results }, undefined, 2));
  else console.log(`GET /fhir/Patient/{id}; ${cores} cores, ${processor}, Node ${node}\n${table(results)}`);
});
// Test support is imported here: without this, the test runner would add its report on no tests.
process.exit();
