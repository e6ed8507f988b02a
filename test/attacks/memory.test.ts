/** What lies in the memory of each process of a running product: KEKs and the root key in the custodian alone, and not after their end. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { createLog } from '../../packages/server/src/core/index.ts';
import { connectionFor, openPool } from '../../packages/server/src/db/index.ts';
import { openRoot } from '../../packages/server/src/keys/index.ts';
import { kekAad } from '../../packages/server/src/keys/wrapping.ts';
import { readBundles } from '../support/fhir-data.ts';
import { copiesIn, whyUnreadable } from '../support/memory.ts';
import { pidOf } from '../support/processes.ts';
import { type Product, ROOT, startProduct } from '../support/product.ts';

const APPLICATIONS = ['gateway', 'admin', 'store'] as const;
const skip = whyUnreadable() ?? false;

let product: Product;
let database: Pool;
let kek: Buffer;
let rootKey: Buffer;
let snapshots: string;

/** A key as it is, and as texts of it would be. */
const formsOf = (key: Buffer): Buffer[] => [
  key,
  ...(['hex', 'base64', 'base64url'] as const).map((encoding) => Buffer.from(key.toString(encoding))),
];

async function pid(name: Parameters<typeof pidOf>[1]): Promise<number> {
  return (await pidOf(product, name)) ?? assert.fail(`${name} does not run`);
}

const credentialOf = (name: string): Buffer => readFileSync(join(product.paths.secrets, `custodian-${name}`));

before(async () => {
  if (skip !== false) return;
  snapshots = mkdtempSync(join(tmpdir(), 'keyward-snapshots-'));
  product = await startProduct({
    env: { NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${snapshots}` },
  });
  for (const { bundle } of readBundles(join(ROOT, 'examples/data')).slice(0, 4))
    assert.equal((await product.fhir({ path: '/', role: 'clinician', json: bundle })).status, 200);
  assert.equal((await product.fhir({ path: '/Patient', role: 'clinician' })).status, 200);
  await product.ledger();
  database = openPool(connectionFor(product.paths, 'custodian'), { max: 1, applicationName: 'memory test' });
  const root = await openRoot(
    { provider: 'local' },
    { log: createLog('test', { write: () => undefined }), directory: product.paths.rootKeyDir },
  );
  const { rows } = await database.query<{ wrapped: Buffer }>('SELECT wrapped FROM kek WHERE version = 1');
  kek = await root.unwrap(rows[0]!.wrapped, kekAad('default', 1));
  rootKey = readFileSync(join(product.paths.rootKeyDir, 'root.key'));
});

after(async () => {
  if (skip !== false) return;
  await database.end();
  rmSync(snapshots, { recursive: true, force: true });
});

test('[K10] the custodian holds the KEK while it is in use: the search finds what is there', { skip }, async () => {
  const [found = 0] = copiesIn(await pid('custodian'), [kek]);
  assert.ok(found > 0);
});

for (const name of APPLICATIONS) {
  test(`[K10] neither a KEK nor the root key lies in the memory of the ${name}`, { skip }, async () => {
    const [own = 0, ...others] = copiesIn(await pid(name), [credentialOf(name), ...formsOf(kek), ...formsOf(rootKey)]);
    assert.ok(own > 0, 'the search finds what is there');
    assert.deepEqual(
      others,
      others.map(() => 0),
    );
  });
}

for (const name of ['gateway', 'admin'] as const) {
  test(`[K10] neither a KEK nor the root key is in a heap snapshot of the ${name}`, { skip }, async () => {
    process.kill(await pid(name), 'SIGUSR2');
    const snapshot = await snapshotOf(await pid(name));
    assert.ok(snapshot.includes(credentialOf(name)), 'the search finds what is there');
    for (const form of [...formsOf(kek), ...formsOf(rootKey)]) assert.equal(snapshot.includes(form), false);
  });
}

/** Whole when it ends like JSON. */
async function snapshotOf(process: number): Promise<Buffer> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(200)) {
    const file = readdirSync(snapshots).find((name) => name.includes(`.${process}.`));
    const content = file === undefined ? Buffer.alloc(0) : readFileSync(join(snapshots, file));
    if (content.subarray(-8).toString().trimEnd().endsWith('}')) return content;
  }
  return assert.fail('no heap snapshot was written');
}

test('[K10] the custodian runs confined, and no process of ours leaves its memory in a core dump', {
  skip,
}, async () => {
  const flags = readFileSync(`/proc/${await pid('custodian')}/cmdline`, 'latin1').split('\0');
  assert.ok(flags.includes('--permission'));
  for (const flag of ['--allow-child-process', '--allow-worker', '--allow-addons', '--allow-inspector', '--allow-wasi'])
    assert.equal(flags.includes(flag), false, flag);
  for (const name of ['custodian', ...APPLICATIONS] as const) {
    const limits = readFileSync(`/proc/${await pid(name)}/limits`, 'latin1');
    assert.match(limits, /^Max core file size +0 +0 +bytes/m, name);
  }
});

/** When the collector of a busy machine is done with it for sure. */
const COLLECTED_MS = 240_000;

test('[K10] a KEK that was destroyed does not stay in the memory of the custodian', { skip }, async (context) => {
  await database.query("UPDATE kek SET state = 'destroyed', wrapped = NULL, deactivated_at = now() WHERE version = 1");
  await database.query("INSERT INTO key_news (tenant, at, ids, specs) VALUES ('default', now(), '{}', '[]')");
  await database.query('NOTIFY keyward_key_news');
  const custodian = await pid('custodian');
  let found = copiesIn(custodian, formsOf(kek));
  const beganMs = performance.now();
  while (found.some((count) => count > 0) && performance.now() - beganMs < COLLECTED_MS) {
    await makeGarbage();
    found = copiesIn(custodian, formsOf(kek));
  }
  context.diagnostic(`gone after ${(performance.now() - beganMs).toFixed(0)} ms`);
  assert.deepEqual(
    found,
    found.map(() => 0),
  );
});

/** Requests that are refused after they were read: the custodian collects its garbage, and with it what nobody holds any more. */
async function makeGarbage(): Promise<void> {
  const body = JSON.stringify({ ids: Array.from({ length: 6000 }, () => 'f'.repeat(32)) });
  const headers = { authorization: `Bearer ${credentialOf('gateway').toString()}`, 'content-type': 'application/json' };
  const options = {
    socketPath: join(product.paths.sockets, 'custodian.sock'),
    path: '/v1/keys/process',
    method: 'POST',
  };
  for (let at = 0; at < 100; at += 1) {
    await new Promise<void>((resolve, reject) => {
      const outgoing = request({ ...options, headers }, (incoming) => void incoming.resume().on('end', resolve));
      outgoing.on('error', reject).end(body);
    });
  }
}
