/** Threat: the administrator of HAPI's database changes what is stored there, with SQL. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { refusalOf, textOf } from '../support/attacker.ts';
import { PATIENT } from '../support/canaries.ts';
import type { Resource } from '../support/fhir-data.ts';
import type { Answer, Product } from '../support/product.ts';
import type { Started } from './marks.ts';

/** A sealed record as its row holds it. Every member is there, or the test is wrong. */
interface Sealed {
  resourceType: string;
  [member: string]: unknown;
  extension: Mark[];
  identifier: { system: string; value: string; _value: Marked }[];
  name: { family: string; _family: Marked; given: string[]; _given: Marked[]; text: string }[];
  telecom: { value: string; _value: Marked }[];
}
interface Marked {
  extension: Mark[];
}
interface Mark {
  url: string;
  valueString?: string;
  extension?: { url: string; valueString: string }[];
}

/** Changes Alice's row; the others are what else the database offers. */
type Tampering = (
  alice: Sealed,
  other: { readonly bob: Sealed; readonly older: Sealed; readonly result: Sealed },
) => unknown;

const nameOf = ({ name }: Sealed) => name[0] as Sealed['name'][number];
const tokenOf = (marked: Marked | undefined) => marked?.extension[0] as { valueString: string };
const family = (patient: Sealed) => tokenOf(nameOf(patient)['_family']);
const given = (patient: Sealed, index: number) => tokenOf(nameOf(patient)['_given'][index]);
const isRoot = ({ url }: Mark) => url === 'urn:keyward:root';
const rootOf = (sealed: Sealed) => sealed.extension.find(isRoot) as Mark;
const part = (sealed: Sealed, name: string) =>
  rootOf(sealed).extension?.find(({ url }) => url === name) as { url: string; valueString: string };
/** Another character at a place that matters. */
const flip = (token: string, index: number) =>
  token.slice(0, index) + (token.at(index) === 'A' ? 'B' : 'A') + token.slice(index).slice(1);
const swap = <Name extends string>(left: Record<Name, string>, right: Record<Name, string>, name: Name) =>
  ([left[name], right[name]] = [right[name], left[name]]);

/** Each must end in a refusal. */
const DETECTED: Readonly<Record<string, Tampering>> = {
  'a token moved to another field': (alice) => (family(alice).valueString = given(alice, 0).valueString),
  'two fields exchanged': (alice) => swap(family(alice), given(alice, 0), 'valueString'),
  'a token of another patient': (alice, { bob }) => (family(alice).valueString = family(bob).valueString),
  'a name of another patient, index and token': (alice, { bob }) => (alice.name = bob.name),
  'a token of another kind of record': (alice, { result }) => (nameOf(alice).text = String(result['valueString'])),
  'a token of an older version of another field': (alice, { older }) =>
    (family(alice).valueString = given(older, 0).valueString),
  'one flipped bit in the ciphertext': (alice) => (family(alice).valueString = flip(family(alice).valueString, -8)),
  'one flipped bit in the key id': (alice) => (family(alice).valueString = flip(family(alice).valueString, 10)),
  'a token cut short': (alice) => (family(alice).valueString = family(alice).valueString.slice(0, -4)),
  'an index without its token': (alice) => (nameOf(alice)['_family'] = { extension: [] }),
  'no root': (alice) => (alice.extension = alice.extension.filter((mark) => !isRoot(mark))),
  'the root of another patient': (alice, { bob }) =>
    (alice.extension = [...alice.extension.filter((mark) => !isRoot(mark)), rootOf(bob)]),
  'the scope of another patient in the root': (alice, { bob }) =>
    (part(alice, 'scope').valueString = part(bob, 'scope').valueString),
  'another object id in the root': (alice, { bob }) =>
    (part(alice, 'object').valueString = part(bob, 'object').valueString),
  'two roots': (alice, { bob }) => alice.extension.push(rootOf(bob)),
  'plaintext in place of a token': (alice) => (nameOf(alice).text = 'Tampered'),
  'plaintext in place of index and token': (alice) =>
    (alice.name = [{ ...nameOf(alice), family: 'Tampered', _family: { extension: [] } }]),
  'a planted note': (alice) => (alice['contact'] = [{ name: { text: 'Tampered' } }]),
  'a planted extension': (alice) => alice.extension.push({ url: 'https://evil.example/x', valueString: 'Tampered' }),
  'two tokens of one list exchanged': (alice) => swap(given(alice, 0), given(alice, 1), 'valueString'),
  'a whole element with its tokens left out': (alice) => delete (alice as Partial<Sealed>).telecom,
  'one token of a list left out': (alice) => [nameOf(alice).given.pop(), nameOf(alice)['_given'].pop()],
  'a token of a list once more': (alice) => {
    const { given: indexes, _given: tokens } = nameOf(alice);
    Object.assign(nameOf(alice), { given: [...indexes, indexes[0]], _given: [...tokens, tokens[0]] });
  },
  'everything sealed and the root left out': (alice) => {
    for (const member of Object.keys(alice)) if (member !== 'resourceType' && member !== 'gender') delete alice[member];
  },
  'no proof in the root': (alice) => rootOf(alice).extension?.splice(3),
};

/** Searches by it may find nothing then; what is shown is what was sealed. */
const WITHOUT_EFFECT: Readonly<Record<string, Tampering>> = {
  'a token in place of a blind index': (alice) => (nameOf(alice).family = family(alice).valueString),
  'the blind index of another patient': (alice, { bob }) => (nameOf(alice).family = nameOf(bob).family),
};

/** What SECURITY.md names as gaps: shown, so that it stays true; whoever closes one moves its row up. */
const UNDETECTED: Readonly<Record<string, Tampering>> = {
  'the whole record of another patient': (alice, { bob }) => exchange(alice, bob),
  'an older version of the record': (alice, { older }) => exchange(alice, older),
  'a clear element changed': (alice) => (alice['gender'] = 'other'),
};

function exchange(target: Sealed, source: Sealed): void {
  for (const member of Object.keys(target)) delete (target as Record<string, unknown>)[member];
  Object.assign(target, structuredClone(source));
}

const CURRENT = `
  SELECT v.pid, v.res_text_vc AS text FROM hfj_res_ver v JOIN hfj_resource r ON r.res_id = v.res_id AND r.res_ver = v.res_ver
  WHERE r.res_type || '/' || r.fhir_id = $1`;
const OLDEST = `
  SELECT v.pid, v.res_text_vc AS text FROM hfj_res_ver v JOIN hfj_resource r ON r.res_id = v.res_id
  WHERE r.res_type || '/' || r.fhir_id = $1 ORDER BY v.res_ver LIMIT 1`;

export function tampering(started: () => Started): void {
  const rows: Record<'alice' | 'bob' | 'older' | 'result', { pid: string; text: string }> = {} as never;
  let alice: string;

  const row = async (query: string, path: string) => {
    const [found] = await started().hapi.sql(query, [path]);
    return { pid: String(found?.['pid']), text: String(found?.['text']) };
  };
  const write = (pid: string, text: string) =>
    started().hapi.sql('UPDATE hfj_res_ver SET res_text_vc = $2 WHERE pid = $1', [pid, text]);
  const parsed = (name: keyof typeof rows): Sealed => JSON.parse(rows[name].text) as Sealed;

  /** What comes of each way to see Alice while her row is changed. */
  const seen = async (change: Tampering): Promise<Answer[]> => {
    const changed = parsed('alice');
    change(changed, { bob: parsed('bob'), older: parsed('older'), result: parsed('result') });
    await write(rows.alice.pid, JSON.stringify(changed));
    try {
      const { product } = started();
      const id = alice.slice('Patient/'.length);
      return [
        await product.fhir({ path: `/${alice}`, role: 'clinician' }),
        await product.fhir({ path: `/${alice}/_history`, role: 'clinician' }),
        await product.fhir({ method: 'POST', path: '/Patient/_search', form: { _id: id }, role: 'clinician' }),
      ];
    } finally {
      await write(rows.alice.pid, rows.alice.text);
    }
  };

  before(async () => {
    const { product } = started();
    alice = await create(product, { ...PATIENT, gender: 'female', name: [{ ...PATIENT.name[0], family: 'Earlier' }] });
    const update = { ...PATIENT, gender: 'female', id: alice.slice('Patient/'.length) };
    const { status } = await product.fhir({ method: 'PUT', path: `/${alice}`, role: 'clinician', json: update });
    assert.equal(status, 200);
    const bob = await create(product, {
      ...PATIENT,
      name: [{ ...PATIENT.name[0], family: 'Bobek', given: ['Bo', 'Ris'] }],
    });
    const result = await create(product, {
      resourceType: 'Observation',
      status: 'final',
      code: { text: 'note' },
      subject: { reference: alice },
      valueString: 'a value',
    });
    rows.alice = await row(CURRENT, alice);
    rows.bob = await row(CURRENT, bob);
    rows.older = await row(OLDEST, alice);
    rows.result = await row(CURRENT, result);
  });

  test('[E1] untouched, every way shows the record: what follows is about the changes alone', async () => {
    const answers = await seen(() => undefined);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
  });

  for (const [what, change] of Object.entries(DETECTED))
    test(`[E1] ${what}, in the database of HAPI: nothing is shown`, async () => {
      for (const answer of await seen(change)) {
        assert.match(refusalOf(answer), /^502 (SEAL_NOT_AUTHENTIC|GATEWAY_UPSTREAM_UNSEALED)$/);
        assert.doesNotMatch(JSON.stringify(answer.body), /Tampered|Kolibri|Bobek/);
      }
    });

  for (const [what, change] of Object.entries(WITHOUT_EFFECT))
    test(`[E1] ${what}, in the database of HAPI: the record is shown as it was sealed`, async () => {
      const [[untouched], [read]] = [await seen(() => undefined), await seen(change)];
      assert.deepEqual(read?.body, untouched?.body);
    });

  for (const [what, change] of Object.entries(UNDETECTED))
    test(`[E1] ${what}: a gap that SECURITY.md names`, async () => {
      const [read] = await seen(change);
      assert.equal(read?.status, 200, JSON.stringify(read?.body));
    });

  test('[E1] a client cannot plant marks of ours, and a token as text is a text like any other', async () => {
    const { product } = started();
    const { valueString } = family(parsed('alice'));
    for (const json of [
      { resourceType: 'Patient', extension: [rootOf(parsed('alice'))] },
      { resourceType: 'Patient', name: [nameOf(parsed('alice'))] },
    ]) {
      const answer = await product.fhir({ path: '/Patient', role: 'clinician', json });
      assert.equal(refusalOf(answer), '400 FHIR_RESERVED_EXTENSION');
    }
    const planted = await create(product, { resourceType: 'Patient', name: [{ text: valueString }] });
    const { body } = await product.fhir({ path: `/${planted}`, role: 'clinician' });
    assert.equal(body['name']?.[0]?.['text'], valueString);
  });
}

async function create(product: Product, json: Resource): Promise<string> {
  const { status, body } = await product.fhir({ path: `/${json.resourceType}`, role: 'clinician', json });
  assert.equal(status, 201, JSON.stringify(body));
  return `${json.resourceType}/${textOf(body['id'])}`;
}
