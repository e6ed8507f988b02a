/** `npm run bench:seal [-- --json]`: what sealing and opening cost per resource and per sealed element, step by step, without network or disk. */
import { createEngine, type DataKey, generateDataKey } from '@keyward/sdk/seal';
import { parseArgs } from 'node:util';
import { parseJson } from '../packages/server/src/core/index.ts';
import {
  createCatalogue,
  type FhirResource,
  planOpen,
  planSeal,
  proofText,
  type RootSeal,
} from '../packages/server/src/phi/index.ts';
import { DATA_SETS, readBundles } from '../test/support/fhir-data.ts';

const ROUNDS = 5;
const ROOT: RootSeal = { objectId: 'bench-object', scope: 'bench-scope', policy: 'bench', proof: 'kw1.bench' };

const engine = createEngine();
const catalogue = createCatalogue();
const now = new Date();
const key: DataKey = generateDataKey();

const STEPS = [
  'parse',
  'plan seal',
  'seal',
  'prove',
  'write sealed',
  'plan open',
  'open',
  'check proof',
  'write opened',
] as const;
type Work = Record<(typeof STEPS)[number], number>;

const texts = readBundles(DATA_SETS[0]?.folder ?? '').flatMap(({ bundle }) =>
  bundle.entry.map(({ resource }) => JSON.stringify(resource)),
);

const proofSite = (path: string) => ({ path, datatype: 'root', fieldClass: 'root' });

function contextsOf(type: string, sites: readonly { path: string; datatype: string; fieldClass: string }[]) {
  return sites.map(({ path, datatype, fieldClass }) => ({
    tenant: 'bench',
    scope: ROOT.scope,
    objectType: type,
    objectId: ROOT.objectId,
    path,
    datatype,
    fieldClass,
  }));
}

/** One pass over all resources; adds the time of each step to `spent`. */
function pass(spent: Work): number {
  let elements = 0;
  const timed = <T>(step: keyof Work, work: () => T): T => {
    const startedMs = performance.now();
    const result = work();
    spent[step] += performance.now() - startedMs;
    return result;
  };
  for (const text of texts) {
    const resource = timed('parse', () => parseJson(Buffer.from(text))) as unknown as FhirResource;
    const plan = timed('plan seal', () => planSeal(resource, catalogue));
    elements += plan.sites.length;
    const type = resource.resourceType;
    const tokens = timed('seal', () => {
      const contexts = contextsOf(type, plan.sites);
      return engine.sealMany(
        plan.sites.map(({ value }, index) => ({ key, context: contexts[index] as (typeof contexts)[number], value })),
      );
    });
    const root = timed('prove', (): RootSeal => {
      if (!plan.hasRoot) return ROOT;
      const [context] = contextsOf(type, [proofSite(type)]);
      const entries = plan.sites.map((site, index) => ({ ...site, token: tokens[index] as string }));
      const value = proofText(ROOT, entries);
      const [proof] = engine.sealMany([{ key, context: context as NonNullable<typeof context>, value }]);
      return { ...ROOT, proof: proof as string };
    });
    const sealed = timed('write sealed', () =>
      plan.apply(
        tokens.map((token, index) => ({ token, indexes: (plan.sites[index]?.terms ?? []).map(() => 'kwi1bench') })),
        root,
        now,
      ),
    );
    const opening = timed('plan open', () => planOpen(sealed, catalogue));
    const values = timed('open', () => {
      const contexts = contextsOf(type, opening.sites);
      return engine.openMany(
        opening.sites.map(({ token }, index) => ({
          key,
          context: contexts[index] as (typeof contexts)[number],
          token,
        })),
      );
    });
    timed('check proof', () => {
      if (!opening.root) return;
      const [context] = contextsOf(type, [proofSite(type)]);
      const { proof } = opening.root;
      const [says] = engine.openMany([{ key, context: context as NonNullable<typeof context>, token: proof }]);
      if (says !== proofText(opening.root, opening.sites)) throw new Error('not proved');
    });
    timed('write opened', () => opening.apply(values.map((value) => ({ kind: 'open', value: value ?? null }))));
  }
  return elements;
}

const empty = (): Work => Object.fromEntries(STEPS.map((step) => [step, 0])) as Work;

pass(empty());
const spent = empty();
let elements = 0;
for (let round = 0; round < ROUNDS; round++) elements += pass(spent);
const resources = texts.length * ROUNDS;
const rows = Object.entries(spent).map(([step, ms]) => ({
  step,
  perResourceUs: (ms * 1000) / resources,
  perElementUs: (ms * 1000) / elements,
  toParse: ms / spent.parse,
}));

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
if (values.json) console.log(JSON.stringify({ resources, elements, rows }, undefined, 2));
else {
  console.log(`${texts.length} resources, ${elements / ROUNDS} sealed elements, ${ROUNDS} rounds`);
  console.log('step           µs/resource  µs/sealed element  × parsing');
  for (const { step, perResourceUs, perElementUs, toParse } of rows)
    console.log(
      `${step.padEnd(14)} ${perResourceUs.toFixed(1).padStart(11)}  ${perElementUs.toFixed(2).padStart(17)}  ${toParse.toFixed(2).padStart(9)}`,
    );
}
process.exit();
