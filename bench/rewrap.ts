/**
 * `npm run bench:rewrap [-- --keys 1000000 --json]`: rotates the KEK of a product that holds so many data keys, while callers
 * read patients through the gateway: how long until every data key is wrapped under the new version, and what readers notice.
 */
import { type DataKey, createDataKey, generateDataKey, openBytes } from '@keyward/sdk/seal';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import type { Pool } from 'pg';
import { Pool as HttpPool } from 'undici';
import { newUuid } from '../packages/server/src/core/index.ts';
import { connectionFor, openPool } from '../packages/server/src/db/index.ts';
import { kekAad, wrapDataKey } from '../packages/server/src/keys/wrapping.ts';
import type { Product } from '../test/support/product.ts';
import { createPatients, withProduct } from './bench-product.ts';
import { type Figures, figuresOf, runRound, type Sample, type Target } from './load.ts';

const TENANT = 'default';
const CALLERS = 4;
const ROUND_MS = 2_000;
const BASELINE_ROUNDS = 8;
const ROWS_PER_INSERT = 5_000;
const MAIN = join(import.meta.dirname, '../packages/server/src/main.ts');

/** The KEK as nobody but this bench gets it: from the database and the file of the development root. */
async function openKek(product: Product, pool: Pool): Promise<DataKey> {
  const root = createDataKey(readFileSync(join(product.paths.rootKeyDir, 'root.key')));
  const { rows } = await pool.query<{ wrapped: Buffer }>('SELECT wrapped FROM kek WHERE tenant = $1 AND version = 1', [
    TENANT,
  ]);
  return createDataKey(openBytes(root, kekAad(TENANT, 1), rows[0]?.wrapped ?? Buffer.alloc(0)));
}

const INSERT = `
  INSERT INTO data_key (id, tenant, kind, scope, kek_version, state, wrapped, created_at, activated_at)
  SELECT id, $1, 'subject', scope, 1, 'active', wrapped, now(), now()
  FROM unnest($2::bytea[], $3::text[], $4::bytea[]) AS made (id, scope, wrapped)`;

async function plantKeys(product: Product, pool: Pool, count: number): Promise<void> {
  const kek = await openKek(product, pool);
  for (let made = 0; made < count; made += ROWS_PER_INSERT) {
    const rows = Array.from({ length: Math.min(ROWS_PER_INSERT, count - made) }, () => {
      const [key, scope] = [generateDataKey(), newUuid()];
      const place = { tenant: TENANT, kind: 'subject', scope, id: key.id, kekVersion: 1 };
      return { id: Buffer.from(key.id, 'hex'), scope, wrapped: wrapDataKey(kek, key, place) };
    });
    const column = <Name extends keyof (typeof rows)[number]>(name: Name) => rows.map((row) => row[name]);
    await pool.query(INSERT, [TENANT, column('id'), column('scope'), column('wrapped')]);
  }
  await pool.query('ANALYZE data_key');
}

interface Result {
  readonly keys: number;
  readonly seconds: number;
  readonly before: Figures;
  readonly during: Figures;
}

async function measure(product: Product, count: number): Promise<Result> {
  const token = await product.token({ role: 'clinician', ttlSeconds: 7_200 });
  const ids = await createPatients(product, token);
  const pool = openPool(connectionFor(product.paths, 'custodian'), { max: 2, applicationName: 'bench' });
  const target: Target = {
    pool: new HttpPool(`https://localhost:${product.gatewayPort}`, {
      connect: { ca: product.ca },
      connections: CALLERS,
    }),
    path: (id) => `/fhir/Patient/${id}`,
    headers: { accept: 'application/fhir+json', authorization: `Bearer ${token}` },
  };
  await plantKeys(product, pool, count);
  await runRound(target, ids, CALLERS, ROUND_MS);
  const before: Sample[] = [];
  for (let round = 0; round < BASELINE_ROUNDS; round++) before.push(await runRound(target, ids, CALLERS, ROUND_MS));
  const during: Sample[] = [];
  const startedMs = performance.now();
  const rotation = { ended: false };
  const rotated = rotateKek(product).finally(() => (rotation.ended = true));
  while (!rotation.ended) during.push(await runRound(target, ids, CALLERS, ROUND_MS));
  await rotated;
  const seconds = (performance.now() - startedMs) / 1000;
  const left = await pool.query("SELECT FROM data_key WHERE tenant = $1 AND kek_version = 1 AND state <> 'destroyed'", [
    TENANT,
  ]);
  assert.equal(left.rowCount, 0, 'data keys were left under the old KEK');
  await Promise.all([pool.end(), target.pool.close()]);
  return { keys: count, seconds, before: figuresOf(before), during: figuresOf(during) };
}

const rotateKek = (product: Product) =>
  promisify(execFile)(process.execPath, [
    MAIN,
    'keys',
    'rotate',
    'kek',
    '--wait',
    '--json',
    '--reason',
    'bench',
    '--data-dir',
    product.dataDir,
  ]);

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, keys: { type: 'string', default: '1000000' } },
});
await withProduct(async (product) => {
  const { keys, seconds, before, during } = await measure(product, Number(values.keys));
  if (values.json) return console.log(JSON.stringify({ keys, seconds, before, during }, undefined, 2));
  console.log(`${keys} data keys under a new KEK in ${seconds.toFixed(0)} s (${(keys / seconds).toFixed(0)} keys/s)`);
  console.log(`${CALLERS} readers at the gateway; ${availableParallelism()} cores, Node ${process.version}`);
  for (const [name, { requestsPerSecond, p50Ms, p99Ms }] of Object.entries({ before, during }))
    console.log(
      `${name.padEnd(7)} ${requestsPerSecond.toFixed(0).padStart(5)} req/s  p50 ${p50Ms.toFixed(1)} ms  p99 ${p99Ms.toFixed(1)} ms`,
    );
  console.log(`p99 during / before: ${(during.p99Ms / before.p99Ms).toFixed(2)}`);
});
process.exit();
