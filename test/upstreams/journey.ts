/** One journey through a FHIR server behind the gateway; the same for the built-in store and for servers that we did not write. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { CANARY_SEARCHES, canaryTransaction, PATIENT } from '../support/canaries.ts';
import { comparable, type Resource } from '../support/fhir-data.ts';
import { type Answer, type Body, type Call, MAIN, type Product } from '../support/product.ts';
import { BUNDLES } from './foreign-server.ts';

/** What a server cannot do by itself, with its reason; a reason that no longer holds fails its test. */
export type Limit =
  | 'keeps trailing zeros'
  | 'pages by links'
  | 'knows If-Match'
  | 'undoes a failed transaction'
  | 'tells a deletion as 410'
  | 'searches across references';
export type Limits = Readonly<Partial<Record<Limit, string>>>;

export function journey(started: () => Product, limits: Limits = {}): void {
  const can = (limit: Limit) => ({ expectFailure: limits[limit] ?? false });
  const clinician = (call: Call): Promise<Answer> => started().fhir({ role: 'clinician', ...call });
  const search = (type: string, form: Record<string, string>) =>
    clinician({ method: 'POST', path: `/${type}/_search`, form });
  const sent = BUNDLES.flatMap(({ bundle }) => bundle.entry.map(({ resource }) => resource));

  const created = async (resource: Resource): Promise<string> => {
    const answer = await clinician({ path: `/${resource.resourceType}`, json: resource });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return text(answer.body['id']);
  };

  before(() => loadBundles(started()));

  test('[E1] what was loaded in transactions is read back as it was, with its references resolved', async () => {
    for (const type of new Set(sent.map(({ resourceType }) => resourceType))) {
      const found = await everyPage(started(), type);
      const wanted = sent.filter(({ resourceType }) => resourceType === type);
      assert.deepEqual(canonical(found), canonical(wanted), type);
      assert.doesNotMatch(JSON.stringify(found), /urn:uuid:|urn:keyward:|kwi?1/, type);
    }
  });

  test('[E1] create, read, update, vread and history tell one story', async () => {
    const id = await created(patient('Before'));
    const first = await clinician({ path: `/Patient/${id}` });
    const version = versionOf(first);
    assert.equal(first.headers['etag'], `W/"${version}"`);
    const update = await clinician({ method: 'PUT', path: `/Patient/${id}`, json: { ...patient('After'), id } });
    assert.equal(update.status, 200, JSON.stringify(update.body));
    assert.notEqual(versionOf(update), version);
    assert.equal(familyOf(await clinician({ path: `/Patient/${id}` })), 'After');
    assert.equal(familyOf(await clinician({ path: `/Patient/${id}/_history/${version}` })), 'Before');
    const history = await clinician({ path: `/Patient/${id}/_history` });
    const families = resources(history).map((resource) => familyOf({ body: resource as unknown as Body }));
    assert.deepEqual(families, ['After', 'Before']);
  });

  test(
    '[E1] a write under the current version passes, under a stale one it is refused',
    can('knows If-Match'),
    async () => {
      const id = await created(patient('Current'));
      const put = (family: string, version: string) =>
        clinician({
          method: 'PUT',
          path: `/Patient/${id}`,
          json: { ...patient(family), id },
          headers: { 'if-match': `W/"${version}"` },
        });
      const version = versionOf(await clinician({ path: `/Patient/${id}` }));
      assert.equal((await put('Next', version)).status, 200);
      assert.deepEqual(refusal(await put('Lost', version)), [412, 'FHIR_PRECONDITION']);
      assert.equal(familyOf(await clinician({ path: `/Patient/${id}` })), 'Next');
    },
  );

  test('[E1] what is deleted is gone, and what never was is not found', can('tells a deletion as 410'), async () => {
    const id = await created(patient('Deleted'));
    assert.equal((await clinician({ method: 'DELETE', path: `/Patient/${id}` })).status, 204);
    assert.deepEqual(refusal(await clinician({ path: `/Patient/${id}` })), [410, 'FHIR_GONE']);
    assert.deepEqual(refusal(await clinician({ path: `/Patient/${randomUUID()}` })), [404, 'FHIR_NOT_FOUND']);
  });

  test('[E1] a transaction that fails leaves nothing behind', can('undoes a failed transaction'), async () => {
    const family = `Undone${randomUUID().slice(0, 8)}`;
    const [kept, changed] = [await created(patient('Kept')), randomUUID()];
    const failed = await clinician({
      path: '/',
      json: {
        resourceType: 'Bundle',
        type: 'transaction',
        entry: [
          { resource: patient(family), request: { method: 'POST', url: 'Patient' } },
          {
            resource: { ...patient(changed), id: kept },
            request: { method: 'PUT', url: `Patient/${kept}`, ifMatch: 'W/"77"' },
          },
        ],
      },
    });
    assert.ok(failed.status >= 400, JSON.stringify(failed.body));
    assert.deepEqual(resources(await search('Patient', { family })), []);
  });

  test(
    '[E1] decimals keep their digits, extensions of anybody their content',
    can('keeps trailing zeros'),
    async () => {
      const id = await created({
        resourceType: 'Observation',
        status: 'final',
        code: { text: 'Weight' },
        extension: [{ url: 'https://vendor.example/own', extension: [{ url: 'part', valueString: 'Own part' }] }],
        valueQuantity: { value: JSON.rawJSON('72.50') as unknown, unit: 'kg' },
      });
      const answer = await rawText(started(), `/Observation/${id}`);
      assert.match(answer, /"value":72\.50[,}]/);
      assert.match(
        answer,
        /"url":"https:\/\/vendor\.example\/own","extension":\[\{"url":"part","valueString":"Own part"\}\]/,
      );
    },
  );

  test('[E7] a patient with a value of their own in every place is found by each of them, and by no wrong one', async () => {
    const written = await clinician({ path: '/', json: canaryTransaction() });
    assert.equal(written.status, 200, JSON.stringify(written.body));
    for (const form of CANARY_SEARCHES) {
      const found = resources(await search('Patient', form));
      const families = found.map((resource) => familyOf({ body: resource as unknown as Body }));
      assert.ok(families.includes('Kolibrifamily'), JSON.stringify(form));
    }
    for (const form of [{ family: 'Kolibrifamilie' }, { identifier: '900-55-1235' }, { phone: '+1 555 867 5308' }])
      assert.deepEqual(resources(await search('Patient', form)), [], JSON.stringify(form));
  });

  test('[E1] every text of that patient comes back as it was sent', async () => {
    const [found] = resources(await search('Patient', { family: 'Kolibrifamily' }));
    assert.deepEqual(comparable(found), comparable(PATIENT));
  });

  test('[E7] clear searches are answered by the server behind: by code, subject, date and status', async () => {
    const subject = await created(patient('Clear'));
    const code = `code-${randomUUID().slice(0, 8)}`;
    const observation = await created({
      resourceType: 'Observation',
      status: 'amended',
      code: { coding: [{ system: 'https://lab.example', code }] },
      subject: { reference: `Patient/${subject}` },
      effectiveDateTime: '2021-03-04T05:06:07Z',
      note: [{ text: 'a note' }],
    });
    const right = [
      { code: `https://lab.example|${code}` },
      { subject: `Patient/${subject}` },
      { code, date: 'ge2021-03-01', status: 'amended' },
      { _id: observation },
    ];
    for (const form of right) {
      const found = resources(await search('Observation', form));
      assert.deepEqual(
        found.map(({ id }) => id),
        [observation],
        JSON.stringify(form),
      );
      assert.deepEqual(found[0]?.['note'], [{ text: 'a note' }]);
    }
    for (const form of [
      { code, date: 'ge2022' },
      { code, status: 'final' },
    ])
      assert.deepEqual(resources(await search('Observation', form)), [], JSON.stringify(form));
  });

  test(
    '[P1] paging visits every record once, and its links name neither the server behind nor a parameter',
    can('pages by links'),
    async () => {
      const family = `Pagewise${randomUUID().slice(0, 8)}`;
      const ids: string[] = [];
      for (let count = 0; count < 5; count++) ids.push(await created(patient(family)));
      const visited: string[] = [];
      let answer = await search('Patient', { family, _count: '2' });
      for (;;) {
        visited.push(...resources(answer).map(({ id }) => id));
        const next = nextOf(answer);
        if (next === undefined) break;
        assert.match(next, new RegExp(`^${started().base}/Patient\\?_cursor=kw1\\.[A-Za-z0-9_-]+$`));
        answer = await clinician({ path: next.slice(started().base.length) });
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
      }
      assert.deepEqual(visited.toSorted(), ids.toSorted());
    },
  );

  test('[E2] another role sees the same record with holes', async () => {
    const [found] = resources(await search('Patient', { family: 'Kolibrifamily' }));
    const answer = await started().fhir({ path: `/Patient/${found?.id ?? ''}`, role: 'researcher' });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.doesNotMatch(JSON.stringify(answer.body), /kolibri/i);
  });

  test('[E1] a conditional create makes one record, however often it is sent', async () => {
    const value = `KOLIBRI-${randomUUID()}`;
    const json = { ...patient('Once'), identifier: [{ system: 'https://hospital.example/mrn', value }] };
    const headers = { 'if-none-exist': `identifier=https://hospital.example/mrn|${value}` };
    const send = () => clinician({ path: '/Patient', json, headers });
    const [first, second] = [await send(), await send()];
    assert.deepEqual([first.status, second.status], [201, 200], JSON.stringify(second.body));
    assert.equal(resources(await search('Patient', { identifier: value })).length, 1);
  });

  test('[E1] a JSON Patch changes a sealed element and leaves the others', async () => {
    const id = await created({ ...patient('Unpatched'), telecom: [{ system: 'phone', value: '+1 555 0199' }] });
    const answer = await clinician({
      method: 'PATCH',
      path: `/Patient/${id}`,
      raw: JSON.stringify([{ op: 'replace', path: '/name/0/family', value: 'Patched' }]),
      headers: { 'content-type': 'application/json-patch+json' },
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const { body } = await clinician({ path: `/Patient/${id}` });
    assert.deepEqual([familyOf({ body }), body['telecom']?.[0]?.['value']], ['Patched', '+1 555 0199']);
  });

  test('[E7] chains, _has and _include work across what is sealed', can('searches across references'), async () => {
    const family = `Chained${randomUUID().slice(0, 8)}`;
    const subject = await created(patient(family));
    const code = `code-${randomUUID().slice(0, 8)}`;
    const observation = await created({
      resourceType: 'Observation',
      status: 'final',
      code: { coding: [{ system: 'https://lab.example', code }] },
      subject: { reference: `Patient/${subject}` },
    });
    const idsOf = (answer: Answer) => resources(answer).map(({ id }) => id);
    assert.deepEqual(idsOf(await search('Observation', { 'subject:Patient.family': family })), [observation]);
    assert.deepEqual(idsOf(await search('Patient', { '_has:Observation:subject:code': code })), [subject]);
    const included = await search('Observation', { code, _include: 'Observation:subject' });
    assert.deepEqual(idsOf(included), [observation, subject]);
    assert.equal(familyOf({ body: resources(included)[1] as unknown as Body }), family);
  });

  test('[E1] $everything brings a patient and what belongs to them', can('searches across references'), async () => {
    const subject = await created(patient('Everything'));
    const coded = { resourceType: 'Observation', status: 'final', code: { text: 'x' } };
    const observation = await created({ ...coded, subject: { reference: `Patient/${subject}` } });
    const answer = await clinician({ path: `/Patient/${subject}/$everything` });
    assert.deepEqual(
      resources(answer)
        .map(({ id }) => id)
        .toSorted(),
      [subject, observation].toSorted(),
    );
  });
}

const text = (member: unknown): string => String(member);
const versionOf = ({ body }: Answer): string => text(body['meta']?.['versionId']);
const familyOf = ({ body }: { readonly body: Body }): unknown => body['name']?.[0]?.['family'];
const refusal = ({ status, body }: Answer): unknown[] => [
  status,
  body['issue']?.[0]?.['details']?.['coding']?.[0]?.['code'],
];

type Found = Resource & { readonly id: string };

function resources({ status, body }: Answer): Found[] {
  assert.equal(status, 200, JSON.stringify(body));
  return ((body['entry'] ?? []) as unknown as { resource: Found }[]).map(({ resource }) => resource);
}

const nextOf = ({ body }: Answer): string | undefined =>
  ((body['link'] ?? []) as unknown as { relation: string; url: string }[]).find(({ relation }) => relation === 'next')
    ?.url;

const patient = (family: string): Resource => ({
  resourceType: 'Patient',
  name: [{ family, given: ['Test'] }],
  birthDate: '1980-05-12',
});

/** As a person would: with the command, from a folder. */
async function loadBundles(product: Product): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bundles-'));
  for (const { file, bundle } of BUNDLES) writeFileSync(join(folder, file), JSON.stringify(bundle));
  await promisify(execFile)(process.execPath, [MAIN, 'demo', 'load', '--data-dir', product.dataDir, folder]);
  rmSync(folder, { recursive: true });
}

async function everyPage(product: Product, type: string): Promise<Found[]> {
  const found: Found[] = [];
  for (let path: string | undefined = `/${type}?_count=200`; path; ) {
    const answer = await product.fhir({ path, role: 'clinician' });
    found.push(...resources(answer));
    path = nextOf(answer)?.slice(product.base.length);
  }
  return found;
}

/** The bytes as they came: a parser would hide what became of a number. */
async function rawText(product: Product, path: string): Promise<string> {
  const dispatcher = new Agent({ connect: { ca: product.ca } });
  const token = await product.token({ role: 'clinician' });
  const { body } = await request(product.base + path, { dispatcher, headers: { authorization: `Bearer ${token}` } });
  const answer = await body.text();
  await dispatcher.close();
  return answer;
}

const canonical = (found: readonly unknown[]): string[] =>
  found.map((resource) => JSON.stringify(sorted(comparable(resource)))).toSorted();

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
