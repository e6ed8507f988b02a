/**
 * `npm run bench:custodian [-- --json]`: data keys made and opened per second by the custodian, beside OpenBao Transit in
 * alternating rounds of one run. Ours are stored and recorded in the ledger, durably, before they are handed out; OpenBao
 * writes its audit file. Load, custodian, OpenBao and database share the cores.
 */
import { createCustodianClient, type KeyService, type KeyUse } from '@keyward/sdk/client';
import type { KeyId } from '@keyward/sdk/seal';
import { availableParallelism } from 'node:os';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newUuid } from '../packages/server/src/core/index.ts';
import type { Product } from '../test/support/product.ts';
import { withProduct } from './bench-product.ts';
import { startTransit, type Transit } from './openbao.ts';

const BATCHES = [1, 10, 100] as const;
const CALLERS = 64;
/** As many processes as would ask: each has eight connections. */
const CLIENTS = CALLERS / 8;
const ROUNDS = 3;
const ROUND_MS = 1_500;

/** No limit that this bench would reach: it measures the custodian, not the limit. */
const UNLIMITED = { KEYWARD_KEYS_RATE_LIMIT_PER_SECOND: '1000000', KEYWARD_KEYS_RATE_LIMIT_BURST: '10000000' };

type Operation = 'made' | 'opened';

interface Result {
  readonly operation: Operation;
  readonly batch: number;
  /** Keys per second. */
  readonly custodian: number;
  readonly openbao: number | undefined;
}

/** Keys that one call of a caller got. */
type Call = (caller: number) => Promise<number>;

async function perSecond(call: Call): Promise<number> {
  const startedMs = performance.now();
  let keys = 0;
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      while (performance.now() - startedMs < ROUND_MS) {
        const got = await call(caller);
        keys += got;
      }
    }),
  );
  return (keys * 1000) / (performance.now() - startedMs);
}

const useOf = (subjects: readonly string[]): KeyUse => ({
  tenant: 'default',
  subjects,
  purpose: 'TREAT',
  correlationId: newUuid(),
  actor: 'bench',
});

function ours(clients: readonly KeyService[], batch: number): Readonly<Record<Operation, () => Promise<Call>>> {
  const clientOf = (caller: number) => clients[caller % clients.length] as KeyService;
  const make = async (caller: number) => {
    const subjects = Array.from({ length: batch }, () => newUuid());
    const specs = subjects.map((subject) => ({ kind: 'subject', subject }) as const);
    return { subjects, keys: await clientOf(caller).protect(specs, useOf(subjects)) };
  };
  return {
    made: async () => async (caller) => (await make(caller)).keys.length,
    async opened() {
      const held = await Promise.all(Array.from({ length: CALLERS }, (_, caller) => make(caller)));
      const ids = held.map(({ keys }) => keys.map(({ id }): KeyId => id));
      return async (caller) =>
        (await clientOf(caller).process(ids[caller] ?? [], useOf(held[caller]?.subjects ?? []))).length;
    },
  };
}

function theirs(transit: Transit, batch: number): Readonly<Record<Operation, () => Promise<Call>>> {
  return {
    made: async () => async () => {
      await transit.dataKeys(batch);
      return batch;
    },
    async opened() {
      const held = await Promise.all(Array.from({ length: CALLERS }, () => transit.encrypt(batch)));
      return async (caller) => {
        await transit.decrypt(held[caller] ?? []);
        return batch;
      };
    },
  };
}

async function compare(
  clients: readonly KeyService[],
  transit: Transit | undefined,
  operation: Operation,
  batch: number,
) {
  const [our, their] = [
    await ours(clients, batch)[operation](),
    transit && (await theirs(transit, batch)[operation]()),
  ];
  const sums = { custodian: 0, openbao: 0 };
  for (let round = 0; round <= ROUNDS; round++) {
    const custodian = await perSecond(our);
    const openbao = their ? await perSecond(their) : 0;
    // The first round warms both up.
    if (round === 0) continue;
    sums.custodian += custodian / ROUNDS;
    sums.openbao += openbao / ROUNDS;
  }
  return { operation, batch, custodian: sums.custodian, openbao: transit ? sums.openbao : undefined };
}

async function measure(product: Product): Promise<Result[]> {
  const clients = Array.from({ length: CLIENTS }, () =>
    createCustodianClient({
      socketPath: join(product.paths.sockets, 'custodian.sock'),
      credential: readFileSync(join(product.paths.secrets, 'custodian-gateway'), 'utf8'),
      timeoutMs: 10_000,
    }),
  );
  const transit = await startTransit(CALLERS, false);
  const results: Result[] = [];
  try {
    for (const operation of ['made', 'opened'] as const)
      for (const batch of BATCHES) results.push(await compare(clients, transit, operation, batch));
  } finally {
    await transit?.stop();
  }
  return results;
}

const line = ({ operation, batch, custodian, openbao }: Result) =>
  [
    operation.padEnd(9),
    String(batch).padStart(5),
    custodian.toFixed(0).padStart(11),
    (openbao?.toFixed(0) ?? '-').padStart(11),
    (openbao === undefined ? '-' : (custodian / openbao).toFixed(2)).padStart(6),
  ].join('  ');

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
await withProduct(async (product) => {
  const results = await measure(product);
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
  else {
    console.log(`keys per second, ${CALLERS} callers; ${availableParallelism()} cores, Node ${process.version}`);
    console.log('operation  batch    custodian      OpenBao   ratio');
    for (const result of results) console.log(line(result));
  }
}, UNLIMITED);
process.exit();
