/** What a real server does to the marks of Keyward, and how it says no: every case as HAPI FHIR really treats it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf } from '../support/attacker.ts';
import { comparable, type Resource } from '../support/fhir-data.ts';
import type { Answer, Call, Product } from '../support/product.ts';
import type { Hapi } from './hapi/hapi.ts';

export interface Started {
  readonly hapi: Hapi;
  readonly product: Product;
}

const DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>A <b>narrative</b> of Kolibrimarks</p></div>';

/** Roots whose marks stand in unusual places, since their type has no `extension` or no text. */
const ROOTS: readonly Resource[] = [
  { resourceType: 'Patient', text: { status: 'generated', div: DIV }, birthDate: '1961-11-23' },
  { resourceType: 'Binary', contentType: 'text/plain', data: Buffer.from('Kolibrimarks').toString('base64') },
  {
    resourceType: 'Bundle',
    type: 'collection',
    entry: [{ resource: { resourceType: 'Patient', name: [{ family: 'Kolibrimarks' }] } }],
  },
  { resourceType: 'Parameters', parameter: [{ name: 'note', valueString: 'Kolibrimarks' }] },
  // The proof is over the order of lists: of what is contained too, whoever refers to it first.
  {
    resourceType: 'Encounter',
    status: 'finished',
    class: { code: 'AMB' },
    contained: [
      {
        resourceType: 'Practitioner',
        id: 'second',
        name: [{ text: 'Kolibrimarks two' }, { text: 'Kolibrimarks three' }],
      },
      { resourceType: 'Organization', id: 'nobody', name: 'Kolibrimarks, which nothing refers to' },
      { resourceType: 'Practitioner', id: 'first', name: [{ given: ['Kolibrimarks', 'One'] }] },
    ],
    participant: [{ individual: { reference: '#first' } }, { individual: { reference: '#second' } }],
  },
  {
    resourceType: 'Basic',
    code: { text: 'Kolibrimarks' },
    extension: [{ url: 'https://vendor.example/x', valueString: 'Kolibrimarks' }],
  },
];

export function marks(started: () => Started): void {
  const clinician = (call: Call): Promise<Answer> => started().product.fhir({ role: 'clinician', ...call });
  const created = async (json: Resource): Promise<string> => {
    const answer = await clinician({ path: `/${json.resourceType}`, json });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return `${json.resourceType}/${textOf(answer.body['id'])}`;
  };
  const atHapi = async (path: string, init: RequestInit = {}): Promise<string> =>
    (
      await fetch(`${started().hapi.url}/${path}`, { headers: { 'content-type': 'application/fhir+json' }, ...init })
    ).text();

  for (const resource of ROOTS)
    test(`[E1] ${resource.resourceType}: it comes back as it was, HAPI holds one root and no text of it`, async () => {
      const path = await created(resource);
      const { body, status } = await clinician({ path: `/${path}`, headers: { accept: 'application/fhir+json' } });
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual(comparable(body), comparable(resource));
      const stored = await atHapi(path, { headers: { accept: 'application/fhir+json' } });
      assert.equal(stored.split('urn:keyward:root').length, 2, stored);
      assert.doesNotMatch(stored, /Kolibrimarks|1961-11-23|S29saWJyaW1hcmtz/);
    });

  test('[E1] updates leave one root and no tag behind, whatever HAPI carries forward', async () => {
    const path = await created({
      resourceType: 'Patient',
      meta: { tag: [{ system: 'https://tags.example', code: 'first' }] },
    });
    for (const family of ['One', 'Two', 'Three']) {
      const json = { resourceType: 'Patient', id: path.slice('Patient/'.length), name: [{ family }] };
      assert.equal((await clinician({ method: 'PUT', path: `/${path}`, json })).status, 200);
    }
    const stored = await atHapi(path);
    assert.equal(stored.split('urn:keyward:root').length, 2, stored);
    const { body } = await clinician({ path: `/${path}` });
    // The client's own tag stays, as on HAPI without us; nothing of ours is a tag.
    assert.deepEqual(body['meta']?.['tag'], [{ system: 'https://tags.example', code: 'first' }]);
    assert.doesNotMatch(JSON.stringify(body), /urn:keyward/);
  });

  test('[E2] a view with holes is not stored over the record', async () => {
    const path = await created({ resourceType: 'Patient', name: [{ family: 'Whole' }], gender: 'female' });
    const view = await started().product.fhir({ path: `/${path}`, role: 'researcher' });
    const answer = await clinician({ method: 'PUT', path: `/${path}`, json: view.body });
    assert.ok(answer.status >= 400, 'a narrowed view was written back');
    assert.equal((await clinician({ path: `/${path}` })).body['name']?.[0]?.['family'], 'Whole');
  });

  test('[E1] what is sealed is valid FHIR to the validator of HAPI', async () => {
    const path = await created({
      resourceType: 'Patient',
      identifier: [{ system: 'https://hospital.example/mrn', value: 'KOLIBRI-1' }],
      name: [{ family: 'Valid', given: ['Vera'] }],
      telecom: [{ system: 'phone', value: '+1 555 0100' }],
      birthDate: '1961-11-23',
    });
    const answer = await atHapi('Patient/$validate', { method: 'POST', body: await atHapi(path) });
    const { issue } = JSON.parse(answer) as { issue: { severity: string; diagnostics: string }[] };
    assert.deepEqual(
      issue.filter(({ severity }) => severity === 'error' || severity === 'fatal'),
      [],
    );
  });

  const refusals: Readonly<Record<string, () => Promise<Call>>> = {
    'a type of bundle it does not keep': () =>
      Promise.resolve({
        path: '/Bundle',
        json: {
          resourceType: 'Bundle',
          type: 'searchset',
          entry: [{ resource: { resourceType: 'Patient', name: [{ family: 'Kolibrirefused' }] } }],
        },
      }),
    'a reference to nothing': () =>
      Promise.resolve({
        path: '/Observation',
        json: {
          resourceType: 'Observation',
          status: 'final',
          code: { text: 'x' },
          performer: [{ reference: 'Organization/nowhere' }],
        },
      }),
    'a record that others refer to': async () => {
      const path = await created({ resourceType: 'Patient', name: [{ family: 'Kolibrireferred' }] });
      await created({
        resourceType: 'Observation',
        status: 'final',
        code: { text: 'x' },
        subject: { reference: path },
      });
      return { method: 'DELETE', path: `/${path}` };
    },
  };
  for (const [what, call] of Object.entries(refusals))
    test(`[P1] HAPI refuses ${what}; its text reaches nobody`, async () => {
      const prepared = await call();
      const loggedBefore = started().hapi.log().length;
      const { status, body } = await clinician(prepared);
      assert.ok(status === 400 || status === 409 || status === 422, `${status}`);
      assert.equal(body['resourceType'], 'OperationOutcome');
      assert.doesNotMatch(JSON.stringify(body), /hapi|kolibri|nowhere/i);
      assert.match(started().hapi.log().slice(loggedBefore), /HAPI-\d{4}|Exception|ERROR/, 'HAPI had something to say');
    });

  test('[E1] a count is what HAPI counted', async () => {
    const system = 'https://lab.example/counted';
    for (const code of ['a', 'b', 'c'])
      await created({ resourceType: 'Observation', status: 'final', code: { coding: [{ system, code }] } });
    const counted = await clinician({
      method: 'POST',
      path: '/Observation/_search',
      form: { code: `${system}|`, _total: 'accurate', _count: '0' },
    });
    assert.equal(counted.body['total'], 3, JSON.stringify(counted.body));
  });
}
