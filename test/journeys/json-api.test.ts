/** JSON APIs: the members API of examples/json-api behind the gateway, as its clients use it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createMembersApi } from '../../examples/json-api/server.ts';
import { type Answer, type Call, type Product, ROOT, startProduct } from '../support/product.ts';

const folder = mkdtempSync(join(tmpdir(), 'keyward-members-'));
const file = join(folder, 'members.json');
const api = createMembersApi(file);
const example = (name: string) => join(ROOT, 'examples/json-api', name);
let product: Product;

before(async () => {
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  const crm = {
    name: 'crm',
    prefix: '/crm',
    upstream: { url },
    openapi: example('openapi.yaml'),
    policyFile: example('policy.yaml'),
  };
  product = await startProduct({ env: { KEYWARD_APIS: JSON.stringify([crm]) } });
});
after(() => {
  api.close();
  api.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const MEMBER = {
  memberId: 'm-1',
  plan: 'gold',
  lastName: 'Canarybird',
  firstName: 'Tweetanne',
  ssn: '999-48-1357',
  birthDate: '1980-05-12',
  incomeCents: 123456789,
  contacts: [
    { kind: 'email', value: 'tweetanne@canary.example' },
    { kind: 'phone', value: '+1 555 0199 883' },
  ],
  address: { street: '17 Aviary Lane', city: 'Featherstone', state: 'CA' },
};
const NOTE = 'Prefers seeds to worms';
/** Whatever must be found in no file of the API. */
const IDENTIFYING =
  'Canarybird;Tweetanne;999-48-1357;999481357;1980-05-12;123456789;canary.example;555 0199 883;Aviary;Featherstone;to worms;Renamed;Moved'.split(
    ';',
  );

const JSON_TYPE = { 'content-type': 'application/json' };
const crm = (call: Call): Promise<Answer> =>
  product.call(product.gatewayPort, {
    role: 'clinician',
    ...call,
    path: `/crm${call.path}`,
    headers: { ...(call.json === undefined ? {} : JSON_TYPE), ...call.headers },
  });
const stored = (): string => readFileSync(file, 'utf8');
const plain = ({ body }: Answer): unknown => body;
const statusAndCode = ({ status, body }: Answer): unknown[] => [status, body['code']];

test('[E1] a member comes back as it was sent, and the API holds nothing that identifies', async () => {
  const made = await crm({ path: '/members', json: MEMBER });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(plain(made), MEMBER);
  assert.equal(made.headers['location'], '/crm/members/m-1');
  const read = await crm({ path: '/members/m-1' });
  assert.deepEqual([read.status, plain(read)], [200, MEMBER]);
  assert.deepEqual(
    IDENTIFYING.filter((text) => stored().includes(text)),
    [],
  );
  const [row] = Object.values((JSON.parse(stored()) as { members: Record<string, Record<string, unknown>> }).members);
  assert.match(String(row?.['ssn']), /^kwi1[a-z2-7]{26}$/);
  assert.match(String(row?.['ssnSealed']), /^kw1j\./);
  assert.match(String(row?.['firstName']), /^kw1j\./);
  assert.equal(row?.['birthDate'], '1980');
  assert.equal(row?.['plan'], 'gold');
});

test('[E7] an identifying value finds by _search, however it is spelled; in the URL it is refused', async () => {
  const found = await crm({ path: '/members/_search', form: { ssn: '999481357', plan: 'gold' } });
  assert.deepEqual([found.status, plain(found)], [200, { items: [MEMBER], total: 1 }]);
  const byName = await crm({ path: '/members/_search', form: { lastName: ' canaryBIRD ' } });
  assert.deepEqual(plain(byName), { items: [MEMBER], total: 1 });
  const none = await crm({ path: '/members/_search', form: { ssn: '999-48-0000' } });
  assert.deepEqual(plain(none), { items: [], total: 0 });
  assert.deepEqual(statusAndCode(await crm({ path: '/members?ssn=999-48-1357' })), [400, 'API_PHI_IN_URL']);
  const clear = await crm({ path: '/members?plan=gold' });
  assert.deepEqual(plain(clear), { items: [MEMBER], total: 1 });
});

test('[A4] who may see less gets less, and is told so; who may not search by a class finds nothing out', async () => {
  const billing = await crm({ path: '/members/m-1', role: 'billing' });
  assert.deepEqual(plain(billing), {
    memberId: 'm-1',
    plan: 'gold',
    lastName: 'Canarybird',
    firstName: 'Tweetanne',
    ssn: '••••1357',
    birthDate: '1980-05-12',
    contacts: [
      { kind: 'email', value: '••••mple' },
      { kind: 'phone', value: '•••• 883' },
    ],
    // No address: it is another object, and nothing in the policy permits it.
  });
  assert.equal(billing.headers['keyward-subsetted'], 'true');
  const research = await crm({ path: '/members', role: 'researcher' });
  assert.deepEqual(plain(research), {
    items: [
      // The schema wants a last name, so there is one: nothing.
      {
        memberId: 'm-1',
        plan: 'gold',
        lastName: null,
        contacts: [
          { kind: 'email', value: null },
          { kind: 'phone', value: null },
        ],
      },
    ],
    total: 1,
  });
  assert.deepEqual(
    statusAndCode(await crm({ path: '/members/_search', role: 'billing', form: { ssn: '999481357' } })),
    [403, 'ACCESS_DENIED'],
  );
  assert.deepEqual(statusAndCode(await crm({ path: '/members/m-1', role: 'researcher' })), [403, 'ACCESS_DENIED']);
  assert.deepEqual(statusAndCode(await crm({ path: '/members/m-1', role: 'partner' })), [403, 'ACCESS_DENIED']);
});

test('[A4] what was masked cannot be written back', async () => {
  const { body } = await crm({ path: '/members/m-1', role: 'billing' });
  const back = await crm({ method: 'PUT', path: '/members/m-1', json: body });
  assert.deepEqual(statusAndCode(back), [409, 'ACCESS_PARTIAL_WRITE']);
  const tagged = await crm({
    method: 'PUT',
    path: '/members/m-1',
    json: MEMBER,
    headers: { 'if-match': '"1-subsetted"' },
  });
  assert.deepEqual(statusAndCode(tagged), [409, 'ACCESS_PARTIAL_WRITE']);
});

test('[E1] a merge patch changes one member, null removes it with its ciphertext, and the rest still opens', async () => {
  const headers = { 'content-type': 'application/merge-patch+json' };
  const patched = await crm({
    method: 'PATCH',
    path: '/members/m-1',
    json: { lastName: 'Renamed', ssn: null },
    headers,
  });
  assert.equal(patched.status, 200, JSON.stringify(patched.body));
  const { ssn: _ssn, ...rest } = MEMBER;
  const read = await crm({ path: '/members/m-1' });
  assert.deepEqual(plain(read), { ...rest, lastName: 'Renamed' });
  assert.ok(!stored().includes('ssnSealed'));
  const replaced = await crm({ method: 'PUT', path: '/members/m-1', json: { ...MEMBER, firstName: 'Moved' } });
  assert.deepEqual([replaced.status, plain(replaced)], [200, { ...MEMBER, firstName: 'Moved' }]);
});

test('[E1] what belongs to a member by its address is under that member’s key', async () => {
  const made = await crm({ path: '/members/m-1/notes', json: { text: NOTE } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const notes = (await crm({ path: '/members/m-1/notes' })).body as unknown as { text: string }[];
  assert.deepEqual(
    notes.map(({ text }) => text),
    [NOTE],
  );
  assert.deepEqual(
    IDENTIFYING.filter((text) => stored().includes(text)),
    [],
  );
});

test('[A5] what the API does not describe is refused by name', async () => {
  const cases: readonly (readonly [Call, number, string])[] = [
    [{ path: '/members', json: { ...MEMBER, memberId: 'm-2', shoeSize: 40 } }, 400, 'API_BODY_INVALID'],
    [{ path: '/members', json: { memberId: 'm-2', plan: 'platinum', lastName: 'X' } }, 400, 'API_BODY_INVALID'],
    [{ path: '/members', json: { plan: 'gold', lastName: 'X' } }, 400, 'API_BODY_INVALID'],
    [{ path: '/members', form: { memberId: 'm-2' } }, 415, 'API_CONTENT_TYPE'],
    [{ path: '/members?colour=red' }, 400, 'API_PARAM_UNSUPPORTED'],
    [{ path: '/members?plan=platinum' }, 400, 'API_PARAM_INVALID'],
    [{ path: '/members/m-1', method: 'POST', json: {} }, 404, 'API_OPERATION_UNKNOWN'],
    [{ path: '/invoices' }, 404, 'API_OPERATION_UNKNOWN'],
    [{ path: '/members/m%2D1' }, 400, 'GATEWAY_PATH_REFUSED'],
    [{ path: '/members/m-unknown' }, 404, 'API_NOT_FOUND'],
    [{ path: '/members', json: MEMBER }, 409, 'API_CONFLICT'],
  ];
  for (const [call, status, code] of cases) {
    const answer = await crm(call);
    assert.deepEqual(statusAndCode(answer), [status, code], `${call.path} ${code}`);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    assert.ok(!JSON.stringify(answer.body).includes('Canarybird'));
  }
});

test('[E7] a form is UTF-8, in percent encoding or as it is; anything else is refused, not searched for', async () => {
  const lastName = 'Müßelñandú';
  assert.equal((await crm({ path: '/members', json: { memberId: 'm-3', plan: 'gold', lastName } })).status, 201);
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  const search = (raw: string | Uint8Array) => crm({ path: '/members/_search', raw, headers: type });
  for (const form of [`lastName=${lastName}`, `lastName=${encodeURIComponent(lastName)}`])
    assert.equal(Number((await search(form)).body['total']), 1, form);
  for (const bytes of [Buffer.from(`lastName=${lastName}`, 'latin1'), Buffer.from('lastName=%fc')])
    assert.deepEqual(statusAndCode(await search(bytes)), [400, 'API_PARAM_INVALID']);
  assert.deepEqual(statusAndCode(await crm({ path: '/members?plan=%zz' })), [400, 'API_PARAM_INVALID']);
  const patient = { resourceType: 'Patient', name: [{ family: lastName }] };
  assert.equal((await product.fhir({ path: '/Patient', json: patient, role: 'clinician' })).status, 201);
  const fhir = (raw: string | Uint8Array) =>
    product.fhir({ path: '/Patient/_search', role: 'clinician', raw, headers: type });
  assert.equal(Number((await fhir(`family=${lastName}`)).body['total']), 1);
  const latin1 = await fhir(Buffer.from(`family=${lastName}`, 'latin1'));
  assert.deepEqual([latin1.status, JSON.stringify(latin1.body).includes('FHIR_PARAM_INVALID')], [400, true]);
  assert.equal((await crm({ method: 'DELETE', path: '/members/m-3' })).status, 204);
});

test('[E1] a body that is sealed and opened in several slices comes back in its order', async () => {
  const contacts = Array.from({ length: 2_500 }, (_none, position) => ({ kind: 'phone', value: `+1 555 ${position}` }));
  const member = { memberId: 'm-4', plan: 'gold', lastName: 'Canarybird', contacts };
  assert.deepEqual(plain(await crm({ path: '/members', json: member })), member);
  assert.equal((await crm({ method: 'DELETE', path: '/members/m-4' })).status, 204);
});

test('[L1] the ledger names who did what to whose record, and nothing that identifies', async () => {
  const entries = (await product.ledger()).map((entry) => JSON.stringify(entry));
  const has = (...texts: string[]) => entries.some((entry) => texts.every((text) => entry.includes(text)));
  assert.ok(has('write.intent', 'create', 'crm:Member'));
  assert.ok(has('write.outcome', 'crm:Member', 'members-care'));
  assert.ok(has('disclosure', 'crm:Member/m-1', 'members-billing'));
  const researched = (await product.ledger()).find((entry) =>
    /"disclosure".*"members-research"/.test(JSON.stringify(entry)),
  );
  // Of what a search found only what was shown is named; a page is nobody's record.
  assert.deepEqual(researched?.['event']?.['resources'], ['crm:Member/m-1']);
  assert.ok(entries.some((entry) => entry.includes('"write.intent"') && /"subjects":\["[0-9a-f-]{36}"\]/.test(entry)));
  assert.ok(has('denial', 'API_PHI_IN_URL'));
  assert.deepEqual(
    entries.filter((entry) => IDENTIFYING.some((text) => entry.includes(text))),
    [],
  );
});

test('[E1] a deleted member is gone', async () => {
  const gone = await crm({ method: 'DELETE', path: '/members/m-1' });
  assert.deepEqual([gone.status, plain(gone)], [204, '']);
  assert.deepEqual(statusAndCode(await crm({ path: '/members/m-1' })), [404, 'API_NOT_FOUND']);
});
