/**
 * `node tools/with-runtime.mjs bench/validate.ts [FOLDER] [--json]`: what a written resource costs, step by step: parsing, validating against R4,
 * planning the seal, sealing with real keys. FHIR bundles of FOLDER; without it, those of examples/data. One process, no I/O while it measures.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { blindIndex, createEngine, generateDataKey, type Json } from '../packages/sdk/src/seal/index.ts';
import { parseJson } from '../packages/server/src/core/index.ts';
import {
  createCatalogue,
  type FhirResource,
  planSeal,
  type SealPlan,
  type TypeOfName,
  validateResource,
} from '../packages/server/src/phi/index.ts';
import { DATA_SETS, readBundles } from '../test/support/fhir-data.ts';

const ROUNDS = 7;

interface Sample {
  readonly bytes: Buffer;
  readonly resource: FhirResource;
  readonly typeOfName: TypeOfName;
}

function readSamples(folder: string): Sample[] {
  return readBundles(folder).flatMap(({ bundle }) => {
    const types = new Map(bundle.entry.map(({ fullUrl, resource }) => [fullUrl, resource.resourceType]));
    return bundle.entry.map((entry) => {
      const bytes = Buffer.from(JSON.stringify(entry.resource));
      const resource = parseJson(bytes) as FhirResource;
      return { bytes, resource, typeOfName: (name: string) => types.get(name) };
    });
  });
}

/** Members of all objects. */
function elementsIn(value: Json): number {
  if (value === null || typeof value !== 'object' || JSON.isRawJSON(value)) return 0;
  const parts = Object.values(value as { [name: string]: Json });
  return (Array.isArray(value) ? 0 : parts.length) + parts.reduce<number>((sum, part) => sum + elementsIn(part), 0);
}

const catalogue = createCatalogue();
const engine = createEngine();
const key = generateDataKey();
const root = { objectId: randomUUID(), scope: randomUUID(), policy: 'bench' };

function seal(plan: SealPlan, { resourceType }: FhirResource): FhirResource {
  const tokens = engine.sealMany(
    plan.sites.map(({ path, datatype, fieldClass, value }) => ({
      key,
      context: { tenant: 'bench', objectType: resourceType, ...root, path, datatype, fieldClass },
      value,
    })),
  );
  const sealed = plan.sites.map(({ terms }, at) => ({
    token: tokens[at] ?? '',
    indexes: terms.map(({ indexClass, system, text }) => blindIndex(key, indexClass, system, text) ?? ''),
  }));
  return plan.apply(sealed, { ...root, proof: 'kw1.bench' }, new Date(0));
}

interface Row {
  readonly step: string;
  readonly perResourceUs: number;
  readonly perElementNs: number;
  /** Share of sealing, which is planning and sealing together. */
  readonly ofSealing: number;
}

function measure(samples: readonly Sample[]): Row[] {
  const plans = samples.map(({ resource }) => planSeal(resource, catalogue));
  const steps: readonly (readonly [step: string, run: (sample: Sample, at: number) => unknown])[] = [
    ['parse', ({ bytes }) => parseJson(bytes)],
    ['validate', ({ resource, typeOfName }) => validateResource(resource, typeOfName)],
    ['plan seal', ({ resource }) => planSeal(resource, catalogue)],
    ['seal', ({ resource }, at) => seal(plans[at] as SealPlan, resource)],
  ];
  const best = steps.map(() => Infinity);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [, run]] of steps.entries()) {
      const startedMs = performance.now();
      samples.forEach(run);
      best[index] = Math.min(best[index] ?? Infinity, performance.now() - startedMs);
    }
  }
  const elements = samples.reduce((sum, { resource }) => sum + elementsIn(resource), 0);
  const sealingMs = (best[2] ?? 0) + (best[3] ?? 0);
  return steps.map(([step], index) => ({
    step,
    perResourceUs: ((best[index] ?? 0) * 1e3) / samples.length,
    perElementNs: ((best[index] ?? 0) * 1e6) / elements,
    ofSealing: (best[index] ?? 0) / sealingMs,
  }));
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const samples = readSamples(positionals[0] ?? DATA_SETS[0]?.folder ?? '');
const violations = samples.flatMap(({ resource, typeOfName }) => validateResource(resource, typeOfName));
if (violations.length > 0) throw new Error(`the data is not valid: ${violations[0]?.path} ${violations[0]?.rule}`);
const rows = measure(samples);
if (values.json) console.log(JSON.stringify({ resources: samples.length, rows }, undefined, 2));
else {
  console.log(`${samples.length} resources, best of ${ROUNDS} rounds, Node ${process.version}`);
  console.log('step         µs/resource   ns/element   of sealing');
  for (const { step, perResourceUs, perElementNs, ofSealing } of rows)
    console.log(
      `${step.padEnd(9)} ${perResourceUs.toFixed(1).padStart(14)} ${perElementNs.toFixed(0).padStart(12)} ${`${(ofSealing * 100).toFixed(0)} %`.padStart(12)}`,
    );
}
// Test support is imported here: without this, the test runner would add its report on no tests.
process.exit();
