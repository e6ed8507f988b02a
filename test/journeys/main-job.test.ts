/** The main job on real input: load, read back, search, see less as another role, find nothing on disk. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, describe, test } from 'node:test';
import {
  comparable,
  DATA_SETS,
  type DataSet,
  identifyingTexts,
  readBundles,
  type Resource,
} from '../support/fhir-data.ts';
import { type Body, filesHolding, MAIN, type Product, startProduct } from '../support/product.ts';

const COMPARED = ['Patient', 'Observation', 'Condition', 'Claim', 'Encounter', 'Coverage', 'DiagnosticReport'];

/** Every resource of a type, page by page. */
async function readAll(product: Product, type: string): Promise<Resource[]> {
  const found: Resource[] = [];
  let path: string | undefined = `/${type}?_count=200`;
  while (path) {
    const { status, body } = await product.fhir({ path, role: 'clinician' });
    assert.equal(status, 200, JSON.stringify(body));
    for (const entry of (body['entry'] ?? []) as unknown as { resource: Resource }[]) found.push(entry.resource);
    const next = ((body['link'] ?? []) as unknown as { relation: string; url: string }[]).find(
      ({ relation }) => relation === 'next',
    );
    path = next?.url.slice(product.base.length);
  }
  return found;
}

const canonical = (resources: readonly unknown[]): string[] =>
  resources.map((resource) => JSON.stringify(sorted(comparable(resource)))).toSorted();

/** Member order carries no meaning in JSON. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}

for (const data of DATA_SETS)
  describe(data.name, { skip: data.missing ? `skipped: ${data.missing}` : false }, () => mainJob(data));

function mainJob(data: DataSet): void {
  const bundles = data.missing ? [] : readBundles(data.folder);
  const sent = bundles.flatMap(({ bundle }) => bundle.entry.map(({ resource }) => resource));
  let product: Product;
  let found: Map<string, Resource[]>;
  /** Texts that must be in no file; without the few that an empty PostgreSQL brings along (a time zone, a word of its catalog). */
  let hidden: Set<string>;

  before(async () => {
    product = await startProduct();
    const all = identifyingTexts(bundles);
    const own = new Set(filesHolding(product.dataDir, all).map(({ text }) => text));
    hidden = new Set([...all].filter((text) => !own.has(text)));
    assert.ok(hidden.size > 50 && own.size < all.size / 20);
    const load = spawnSync(process.execPath, [MAIN, 'demo', 'load', '--data-dir', product.dataDir, data.folder], {
      encoding: 'utf8',
    });
    assert.equal(load.status, 0, load.stdout + load.stderr);
    found = new Map();
    for (const type of COMPARED) found.set(type, await readAll(product, type));
  });

  const patients = () => found.get('Patient') as (Resource & { id: string })[];
  const search = (form: Record<string, string>, role = 'clinician') =>
    product.fhir({ method: 'POST', path: '/Patient/_search', form, role });
  const ids = ({ body }: { body: Body }): string[] =>
    ((body['entry'] ?? []) as unknown as { resource: { id: string } }[]).map(({ resource }) => resource.id);

  test('[E1] what a clinician reads back equals what was sent, apart from ids, references and meta', () => {
    for (const type of COMPARED) {
      const wanted = sent.filter(({ resourceType }) => resourceType === type);
      assert.deepEqual(canonical(found.get(type) ?? []), canonical(wanted), type);
    }
    assert.ok(patients().length >= 10);
  });

  test('[E7] a patient is found by identifier with and without system, family, given, name, phone and birth date', async () => {
    const [patient] = patients() as unknown as {
      id: string;
      identifier: { system: string; value: string }[];
      name: { family: string; given: string[] }[];
      telecom: { value: string }[];
      birthDate: string;
    }[];
    assert.ok(patient);
    const [{ system, value } = { system: '', value: '' }] = patient.identifier;
    const [{ family, given } = { family: '', given: [''] }] = patient.name;
    const right: Record<string, string>[] = [
      { identifier: `${system}|${value}` },
      { identifier: value },
      { family },
      { family: family.toUpperCase() },
      { given: given[0] as string },
      { name: family },
      { phone: patient.telecom[0]?.value ?? '' },
      { birthdate: patient.birthDate },
      { birthdate: patient.birthDate.slice(0, 4) },
      { family, birthdate: patient.birthDate },
      { family: `nobody,${family}` },
    ];
    for (const form of right) {
      const answer = await search({ ...form, _count: '1000' });
      assert.equal(answer.status, 200, JSON.stringify([form, answer.body]));
      assert.ok(ids(answer).includes(patient.id), JSON.stringify(form));
    }
    const exact = ids(await search({ identifier: `${system}|${value}` }));
    assert.deepEqual(exact, [patient.id]);
  });

  test('[E7] a wrong value finds nobody', async () => {
    const [patient] = patients() as unknown as {
      identifier: { system: string; value: string }[];
      name: { family: string }[];
      birthDate: string;
    }[];
    assert.ok(patient);
    const [{ system, value } = { system: '', value: '' }] = patient.identifier;
    const wrong: Record<string, string>[] = [
      { identifier: `${system}|${value}0` },
      { identifier: `https://example.org/other|${value}` },
      { identifier: `|${value}` },
      { family: patient.name[0]?.family.slice(0, -1) ?? '' },
      { family: patient.name[0]?.family ?? '', given: 'Nobody' },
      { phone: '555-000-0000' },
      { birthdate: '1801-01-01' },
      {
        birthdate: `${patient.birthDate.slice(0, 4)}-13-01`.replace(
          '-13-',
          patient.birthDate.slice(4, 8) === '-12-' ? '-11-' : '-12-',
        ),
        identifier: value,
      },
    ];
    for (const form of wrong) {
      const answer = await search(form);
      assert.deepEqual([answer.status, ids(answer)], [200, []], JSON.stringify(form));
    }
  });

  test('[P1] the same search by GET is refused and told where to go', async () => {
    for (const query of [
      'family=Anybody',
      'identifier=1',
      'given=A',
      'name=A',
      'phone=1',
      'birthdate=1980',
      'telecom=1',
      'email=a%40example.org',
      'address=x',
      'family:exact=A',
    ]) {
      const { status, body } = await product.fhir({ path: `/Patient?${query}`, role: 'clinician' });
      assert.equal(status, 400, query);
      assert.equal(body['issue']?.[0]?.['details']?.['coding']?.[0]?.['code'], 'FHIR_PHI_IN_URL', query);
      assert.match(JSON.stringify(body['issue']?.[0]?.['diagnostics']), /_search/);
      assert.doesNotMatch(JSON.stringify(body), /Anybody|1980/);
    }
  });

  test('[A4] billing sees only what the policy opens, and what it sees says that it is a part', async () => {
    const [patient] = patients() as unknown as {
      id: string;
      name: unknown;
      identifier: { value: string }[];
      telecom: { value: string }[];
    }[];
    assert.ok(patient);
    const { status, headers, body } = await product.fhir({ path: `/Patient/${patient.id}`, role: 'billing' });
    assert.equal(status, 200);
    assert.match(String(headers['etag']), /-subsetted"$/);
    assert.deepEqual(
      (body['name'] as unknown as { family: string }[]).map(({ family }) => family),
      (patient.name as { family: string }[]).map(({ family }) => family),
    );
    const text = JSON.stringify(body);
    assert.match(text, /SUBSETTED/);
    for (const { value } of [...patient.identifier, ...patient.telecom])
      assert.ok(!text.includes(value), 'an identifier or contact was shown');
    assert.doesNotMatch(text, /kw1\.|kwi1|urn:keyward/);
  });

  test('[L1] no token is 401, a role that may not is 403, and both are recorded', async () => {
    const id = patients()[0]?.id ?? '';
    const nobody = await product.fhir({ path: `/Patient/${id}` });
    const auditor = await product.fhir({ path: `/Patient/${id}`, role: 'auditor' });
    assert.deepEqual([nobody.status, auditor.status], [401, 403]);
    for (const { headers } of [nobody, auditor]) {
      const entries = await product.ledger(`&correlationId=${String(headers['x-correlation-id'])}`);
      assert.equal(entries.length, 1);
      assert.equal(entries[0]?.['class'], 'denial');
    }
  });

  test('[P2] nothing that identifies a patient stands in any file or log, running and stopped', async () => {
    assert.deepEqual(filesHolding(product.dataDir, hidden), []);
    assert.equal(await product.stop(), 0);
    assert.deepEqual(filesHolding(product.dataDir, hidden), []);
  });

  test('[S1] it starts again on the same data, and the data opens', async () => {
    await product.stop();
    await product.start();
    const [patient] = patients();
    const { body } = await product.fhir({ path: `/Patient/${patient?.id ?? ''}`, role: 'clinician' });
    assert.deepEqual(comparable(body), comparable(patient));
  });
}
