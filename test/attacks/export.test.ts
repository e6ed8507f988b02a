/** Threat: bulk export in the wrong hands, or of a FHIR server that lies on the way: nothing that broke off may look whole. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngine } from '../../packages/sdk/src/seal/index.ts';
import { openForCaller, sealForCaller } from '../../packages/server/src/gateway/caller-token.ts';
import type { Exchange } from '../../packages/server/src/gateway/exchange.ts';
import { assertRefused, refusalOf, say, statuses, textOf } from '../support/attacker.ts';
import {
  exporter,
  kickOff,
  type Line,
  observationOf,
  openFile,
  outputs,
  pathOf,
  readLines,
  statusPath,
} from '../support/export.ts';
import { createMemoryKeys } from '../support/memory-keys.ts';
import { backendsOf, whileStopped } from '../support/processes.ts';
import { type Product, startProduct } from '../support/product.ts';
import { type Json, type Lie, RecordingUpstream, type Reply, searchset } from '../support/recording-upstream.ts';

const KICK_OFF = '/$export?_type=Observation';
const PER_PAGE = 3;

let upstream: RecordingUpstream;
let product: Product;
let alice: string;
let bob: string;
let exporting: string;

before(async () => {
  upstream = await RecordingUpstream.start();
  product = await startProduct({
    env: {
      KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url,
      KEYWARD_GATEWAY_UPSTREAM_TIMEOUT_MS: '2000',
      KEYWARD_LEDGER_DEADLINE_MS: '1000',
    },
  });
  [alice, bob] = [await create({ resourceType: 'Patient' }), await create({ resourceType: 'Patient' })];
  for (let number = 0; number < 2 * PER_PAGE; number++)
    await create(observationOf(number % 2 === 0 ? alice : bob, number));
  exporting = await exporter(product, { role: 'clinician' });
  serve(honestPages());
});
after(() => upstream.close());
afterEach(() => serve(honestPages()));

async function create(json: { readonly resourceType: string; readonly [member: string]: unknown }): Promise<string> {
  const { status, body } = await product.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return textOf(body['id']);
}

const observations = (): Json[] => [...upstream.stored.values()].filter((one) => one['resourceType'] === 'Observation');

const searched = ['Patient', 'Observation', 'Group'].map((type) => ({ type, interaction: [{ code: 'search-type' }] }));
const METADATA = { resourceType: 'CapabilityStatement', rest: [{ resource: searched }] };

/** What is answered to the first search, and to the pages behind it by number. */
type Pages = (page: number) => ReturnType<Lie>;

const ok = (body: unknown): Reply => ({ status: 200, body });
const pageOf = (resources: readonly unknown[], next?: string): Reply =>
  ok(searchset(resources, next === undefined ? {} : { link: [{ relation: 'next', url: next }] }));
const pageUrl = (page: number): string => `${upstream.url}/Observation?page=${page}`;

const honestPages = (): Pages => (page) =>
  page === 0
    ? pageOf(observations().slice(0, PER_PAGE), pageUrl(1))
    : pageOf(observations().slice(PER_PAGE), undefined);

/** How many pages were asked for since `serve`. */
let asked = 0;

function serve(pages: Pages): void {
  asked = 0;
  upstream.lie = (truth, { method, path }) => {
    if (path === '/metadata') return ok(METADATA);
    const page = /^\/Observation\?page=(\d+)$/.exec(path)?.[1];
    if (page === undefined && (method !== 'POST' || path !== '/Observation/_search')) return truth;
    asked++;
    return pages(Number(page ?? 0));
  };
}

async function fileUrl(token = exporting): Promise<string> {
  const [output] = await outputs(product, KICK_OFF, token);
  assert.ok(output);
  return output.url;
}

/** What a client gets of the file while the upstream serves these pages. */
async function exported(pages: Pages): Promise<{ lines: Line[]; whole: boolean; correlationId: string }> {
  const url = await fileUrl();
  serve(pages);
  const answer = await openFile(product, url, exporting);
  assert.equal(answer.statusCode, 200);
  const lines: Line[] = [];
  const whole = await readLines(answer, (line) => void lines.push(line)).then(
    () => true,
    () => false,
  );
  return { lines, whole, correlationId: String(answer.headers['x-correlation-id']) };
}

test('[E1] the pages of an honest server come whole', async () => {
  const { lines, whole } = await exported(honestPages());
  assert.deepEqual([whole, lines.map(({ id }) => id)], [true, observations().map(({ id }) => id)]);
});

/** A record whose sealed values were exchanged for those of another. */
function tampered(): Json {
  const [first, second] = observations() as [Json, Json];
  return { ...first, note: second['note'] };
}

const SECOND_PAGES: Readonly<Record<string, readonly [page: () => Reply | undefined, code: string]>> = {
  'a tampered record': [() => pageOf([observations()[3], tampered()]), 'SEAL_NOT_AUTHENTIC'],
  'a record that was never sealed': [
    () => pageOf([{ ...observationOf('x', 1), id: 'plain', note: [{ text: 'in clear' }] }]),
    'GATEWAY_UPSTREAM_UNSEALED',
  ],
  garbage: [() => ({ status: 200, body: '<html>HOSTILE' }), 'GATEWAY_UPSTREAM_INVALID'],
  'half a bundle': [() => ({ status: 200, body: '{"resourceType":"Bundle","entry":[' }), 'GATEWAY_UPSTREAM_INVALID'],
  'something else than a bundle': [() => ok({ resourceType: 'Patient', id: 'p' }), 'GATEWAY_UPSTREAM_INVALID'],
  'an error': [() => ({ status: 500, body: 'HOSTILE' }), 'GATEWAY_UPSTREAM_UNAVAILABLE'],
  silence: [() => undefined, 'GATEWAY_UPSTREAM_UNAVAILABLE'],
  'a link back to itself': [() => pageOf([observations()[3]], pageUrl(1)), 'GATEWAY_UPSTREAM_INVALID'],
  'a link out of the server': [
    () => pageOf([observations()[3]], 'http://evil.example/etc'),
    'GATEWAY_UPSTREAM_INVALID',
  ],
  'that its pages are gone': [() => ({ status: 410, body: '' }), 'FHIR_GONE'],
};
for (const [what, [page, code]] of Object.entries(SECOND_PAGES)) {
  test(`[E1] ${what} on the second page breaks the file off, and the ledger says why`, async () => {
    const { lines, whole, correlationId } = await exported((number) => (number === 0 ? honestPages()(0) : page()));
    assert.equal(whole, false);
    const known = new Set(observations().map(({ id }) => id));
    assert.ok(lines.length >= PER_PAGE && lines.every(({ id }) => known.has(id)), 'what came before is authentic');
    assert.doesNotMatch(JSON.stringify(lines), /HOSTILE|in clear/);
    const entries = await product.ledger(`&correlationId=${correlationId}`);
    const failure = entries.at(-1);
    assert.deepEqual([textOf(failure?.['class']), textOf(failure?.['event']?.['code'])], ['failure', code]);
    assert.deepEqual(failure?.['event']?.['resources'], ['Observation']);
  });
}

test('[E1] what fails on the first page is told by its code', async () => {
  const url = await fileUrl();
  serve(() => ok({ resourceType: 'Patient', id: 'p' }));
  const answer = await product.fhir({ path: pathOf(product, url), token: exporting });
  assert.equal(refusalOf(answer), '502 GATEWAY_UPSTREAM_INVALID');
});

test('[L1] nothing of a file leaves while the ledger cannot record its first page', async () => {
  const backends = await backendsOf(product, 'keyward_ledger_writer');
  assert.ok(backends.length > 0);
  const url = await fileUrl();
  await whileStopped(backends, async () => {
    const answer = await product.fhir({ path: pathOf(product, url), token: exporting });
    assert.equal(refusalOf(answer), '503 LEDGER_UNAVAILABLE');
    assert.ok(asked > 0, 'the page was there');
  });
});

test('[L1] nothing of a later page leaves while the ledger cannot record it', async () => {
  const url = await fileUrl();
  const silent = Promise.withResolvers<void>();
  serve((page) => (page === 0 ? honestPages()(0) : silent.promise.then(() => honestPages()(page))));
  const answer = await openFile(product, url, exporting);
  assert.equal(answer.statusCode, 200);
  const lines: Line[] = [];
  const firstPage = Promise.withResolvers<void>();
  const whole = readLines(answer, (line) => {
    if (lines.push(line) === PER_PAGE) firstPage.resolve();
  }).then(
    () => true,
    () => false,
  );
  await firstPage.promise;
  // Those that recorded the first page; connections that hung before were replaced.
  await whileStopped(await backendsOf(product, 'keyward_ledger_writer'), async () => {
    silent.resolve();
    assert.equal(await whole, false, 'the file came to its end');
  });
  const told = observations().slice(0, PER_PAGE);
  assert.deepEqual(
    lines.map(({ id }) => id),
    told.map(({ id }) => id),
  );
});

test('[A4] what the server adds to a page beyond what was asked for is left out', async () => {
  const [first] = observations() as [Json];
  const later = { ...first, id: 'later', meta: { lastUpdated: new Date(Date.now() + 3_600_000).toISOString() } };
  const { lines, whole } = await exported(() => pageOf([first, later, upstream.stored.get(`Patient/${alice}`)]));
  assert.deepEqual([whole, lines.map(({ id }) => id)], [true, [first['id']]]);
});

test('[A3] of a group only its members are exported, whatever the server gives, and each record once', async () => {
  const member = [{ entity: { reference: `Patient/${alice}` } }];
  const group = await create({ resourceType: 'Group', type: 'person', actual: true, member });
  const [output] = await outputs(product, `/Group/${group}/$export?_type=Observation`, exporting);
  assert.ok(output);
  const lines: Line[] = [];
  await readLines(await openFile(product, output.url, exporting), (line) => void lines.push(line));
  const own = observations().filter(
    ({ subject }) => (subject as { reference: string }).reference === `Patient/${alice}`,
  );
  assert.deepEqual(
    lines.map(({ id }) => id),
    own.map(({ id }) => id),
  );
});

/** Pages that never end, each about a megabyte. */
function endlessPages(): Pages {
  const [one] = observations() as [Json];
  const many = Array.from({ length: 300 }, (_, index) => ({ ...one, id: `copy-${index}` }));
  return (page) => pageOf(many, pageUrl(page + 1));
}

test('[E1] a client that goes away stops the walk', async () => {
  const url = await fileUrl();
  serve(endlessPages());
  const answer = await openFile(product, url, exporting);
  await new Promise<void>((resolve) => answer.once('data', () => resolve()));
  answer.destroy();
  await sleep(500);
  const then = asked;
  await sleep(700);
  assert.equal(asked, then);
});

test('[E1] a client that reads slowly holds back the walk', async () => {
  const url = await fileUrl();
  serve(endlessPages());
  const answer = await openFile(product, url, exporting);
  answer.pause();
  // Until all buffers between here and there are full.
  let [earlier, now] = [-1, 0];
  for (const giveUpAt = Date.now() + 15_000; earlier !== now && Date.now() < giveUpAt; ) {
    earlier = now;
    await sleep(700);
    now = asked;
  }
  assert.equal(earlier, now, 'the walk goes on though nobody reads');
  answer.destroy();
});

test('[A3] links of an export work for nobody else, nowhere else and not changed', async () => {
  const status = statusPath(product, await kickOff(product, { path: KICK_OFF, token: exporting }));
  const file = pathOf(product, await fileUrl());
  const others = [
    await exporter(product, { role: 'researcher' }),
    await exporter(product, { role: 'billing' }),
    // Another role of the same subject would be another caller too; here the subject differs as well.
    await product.token({ role: 'partner', scope: 'system/*.rs' }),
  ];
  for (const token of others)
    for (const path of [status, file]) await assertRefused(product, { path, token }, '404 FHIR_EXPORT_LINK', path);
  const swapped = [
    status.replace('$export-status', '$export-file'),
    file.replace('$export-file', '$export-status'),
    `${status.slice(0, -1)}${status.endsWith('A') ? 'B' : 'A'}`,
    '/$export-file/kw1.AAAA',
  ];
  for (const path of swapped) await assertRefused(product, { path, token: exporting }, '404 FHIR_EXPORT_LINK', path);
  await assertRefused(product, { path: file }, '401 IDENTITY_TOKEN_MISSING', 'without a token');
});

test('[A3] a link of an export ends an hour later, and for another subject it opens nothing', async () => {
  const [keys, engine] = [createMemoryKeys(), createEngine()];
  const site = { objectType: 'Export', objectId: 'link', path: 'export/file' };
  const exchangeAt = (nowMs: number, sub = 'alice') =>
    ({
      gateway: { tenant: 'test', keys, engine, clock: { now: () => new Date(nowMs) } },
      principal: { issuer: 'urn:test', sub, role: 'clinician', purpose: 'TREAT' },
      correlationId: 'test',
    }) as unknown as Exchange;
  const token = await sealForCaller(exchangeAt(0), site, { type: 'Patient' });
  const open = (exchange: Exchange) => openForCaller(exchange, site, token, 'FHIR_EXPORT_LINK');
  assert.deepEqual(await open(exchangeAt(3_599_999)), { type: 'Patient' });
  await assert.rejects(open(exchangeAt(3_600_001)), { code: 'FHIR_EXPORT_LINK' });
  await assert.rejects(open(exchangeAt(0, 'mallory')), { code: 'FHIR_EXPORT_LINK' });
});

const UNENTITLED: readonly (readonly [role: string, scope: string, path: string, refusal: string])[] = [
  ['billing', 'system/*.rs', '/$export', '403 ACCESS_DENIED'],
  ['partner', 'system/*.cruds', '/Patient/$export', '403 ACCESS_DENIED'],
  ['patient', 'system/*.rs', '/$export', '403 ACCESS_DENIED'],
  ['auditor', 'system/*.rs', '/$export', '403 ACCESS_DENIED'],
  ['clinician', 'user/*.cruds', '/$export', '403 ACCESS_SCOPE'],
  ['clinician', 'patient/*.rs', '/Patient/$export', '403 ACCESS_SCOPE'],
  ['clinician', 'system/*.r', '/$export', '403 ACCESS_SCOPE'],
  ['clinician', 'system/Patient.rs', '/$export?_type=Patient,Observation', '403 ACCESS_SCOPE'],
  ['researcher', 'user/*.rs', '/$export', '403 ACCESS_SCOPE'],
  ['researcher', 'system/*.rs', '/$export?_type=Patient,Claim', '403 ACCESS_DENIED'],
  ['researcher', 'system/*.rs', '/Group/g/$export', '403 ACCESS_DENIED'],
];
for (const [role, scope, path, refusal] of UNENTITLED) {
  test(`[A3] ${role} with ${scope} is refused ${path}`, async () => {
    const token = await product.token({ role, scope, patient: alice });
    await assertRefused(product, { path, token, headers: { prefer: 'respond-async' } }, refusal, path);
  });
}

test('[A3] each request of an export is judged by its own token, not by that of the kick-off', async () => {
  const status = statusPath(product, await kickOff(product, { path: KICK_OFF, token: exporting }));
  const file = pathOf(product, await fileUrl());
  for (const scope of ['user/*.cruds', 'system/Patient.rs']) {
    const token = await product.token({ role: 'clinician', scope });
    for (const path of [status, file]) await assertRefused(product, { path, token }, '403 ACCESS_SCOPE', path);
  }
});

test('[E1] a protocol that cannot tell a whole file from a part of one gets none', async () => {
  const path = pathOf(product, await fileUrl());
  const answer = await say(product, `GET /fhir${path} HTTP/1.0\r\nauthorization: Bearer ${exporting}\r\n\r\n`);
  assert.deepEqual(statuses(answer), [505]);
  assert.doesNotMatch(answer, /Observation"/);
});
