/**
 * `npm run bench:sizes [-- --json] [-- --svg FILE]`: writing transaction bundles of 1 KB to 5 MB through the gateway beside the same
 * bundles sent straight to the FHIR server behind it (the built-in store), in alternating rounds of one run.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import type { Product } from '../test/support/product.ts';
import { withProduct } from './bench-product.ts';
import { curve } from './curve.ts';

/** Of one body; the largest is below the default of gateway.maxBodyBytes. */
const SIZES_BYTES = [1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 5_000_000] as const;
const ROUNDS = 3;
/** Each size is written at least so often in a round. */
const LEAST_BYTES_PER_ROUND = 400_000;

interface Result {
  readonly bytes: number;
  readonly resources: number;
  readonly gatewayMbPerSecond: number;
  readonly upstreamMbPerSecond: number;
}

/** A transaction of about so many bytes: observations of a kilobyte, most of it a note, which is sealed. */
function bundleOf(bytes: number): { text: string; resources: number } {
  const resource = {
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '29463-7', display: 'Body weight' }], text: 'Body weight' },
    effectiveDateTime: '2026-01-02T03:04:05Z',
    valueQuantity: { value: 61.5, unit: 'kg', system: 'http://unitsofmeasure.org', code: 'kg' },
    note: [
      {
        text: 'The patient was weighed in the morning, in light clothing, and asked for the result by post. '.repeat(7),
      },
    ],
  };
  const entry = { resource, request: { method: 'POST', url: 'Observation' } };
  const count = Math.max(1, Math.round(bytes / JSON.stringify(entry).length));
  const text = JSON.stringify({
    resourceType: 'Bundle',
    type: 'transaction',
    entry: Array.from({ length: count }, () => entry),
  });
  return { text, resources: count };
}

type Post = (text: string) => Promise<void>;

async function measure(product: Product): Promise<Result[]> {
  const token = await product.token({ role: 'clinician', ttlSeconds: 3_600 });
  const upstream = new Pool('http://store.invalid', { socketPath: join(product.paths.sockets, 'store.sock') });
  const gateway = new Pool(`https://localhost:${product.gatewayPort}`, { connect: { ca: product.ca } });
  const targets: Readonly<Record<'upstream' | 'gateway', Post>> = {
    upstream: poster(upstream, '/', {}),
    gateway: poster(gateway, '/fhir', { authorization: `Bearer ${token}` }),
  };
  const results: Result[] = [];
  for (const size of SIZES_BYTES) results.push(await measureSize(size, targets));
  await Promise.all([upstream.close(), gateway.close()]);
  return results;
}

const poster =
  (pool: Pool, path: string, headers: Record<string, string>): Post =>
  async (text) => {
    const answer = await pool.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/fhir+json', ...headers },
      body: text,
    });
    const said = await answer.body.text();
    if (answer.statusCode !== 200)
      throw new Error(`${path} was answered with ${answer.statusCode}: ${said.slice(0, 300)}`);
  };

async function measureSize(size: number, targets: Readonly<Record<'upstream' | 'gateway', Post>>): Promise<Result> {
  const { text, resources } = bundleOf(size);
  const times = Math.ceil(LEAST_BYTES_PER_ROUND / text.length);
  const spentMs = { upstream: 0, gateway: 0 };
  for (const name of ['upstream', 'gateway'] as const) await targets[name](text);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of ['upstream', 'gateway'] as const) {
      const startedMs = performance.now();
      for (let turn = 0; turn < times; turn++) await targets[name](text);
      spentMs[name] += performance.now() - startedMs;
    }
  }
  const rate = (ms: number) => (text.length * times * ROUNDS) / ms / 1000;
  return {
    bytes: text.length,
    resources,
    gatewayMbPerSecond: rate(spentMs.gateway),
    upstreamMbPerSecond: rate(spentMs.upstream),
  };
}

function table(results: readonly Result[]): string {
  const rows = results.map(({ bytes, resources, gatewayMbPerSecond: through, upstreamMbPerSecond: straight }) => [
    String(bytes),
    String(resources),
    straight.toFixed(2),
    through.toFixed(2),
    (through / straight).toFixed(2),
    ((through * 1e6) / (bytes / resources)).toFixed(0),
  ]);
  const heads = ['bytes', 'resources', 'upstream MB/s', 'gateway MB/s', 'ratio', 'gateway resources/s'];
  return [heads, ...rows]
    .map((row) => row.map((cell, at) => cell.padStart(heads[at]?.length ?? 0)).join('  '))
    .join('\n');
}

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false }, svg: { type: 'string' } } });
await withProduct(async (product) => {
  const results = await measure(product);
  console.log(values.json ? JSON.stringify(results, undefined, 2) : table(results));
  const lines = [
    {
      name: 'straight to the FHIR server',
      points: results.map((result) => [result.bytes, result.upstreamMbPerSecond] as const),
    },
    {
      name: 'through the gateway',
      points: results.map((result) => [result.bytes, result.gatewayMbPerSecond] as const),
    },
  ];
  if (values.svg) writeFileSync(values.svg, curve('Transactions written, MB/s by size of the bundle', lines));
});
process.exit();
