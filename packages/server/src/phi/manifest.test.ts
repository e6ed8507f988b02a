/** The manifest of a record: nothing of it can be left out, added or moved, and what servers do to JSON does not matter. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import { type FhirResource, planOpen, proofText } from './index.ts';
import { OWN, ROOT, seal } from './test-support.ts';

const PATIENT: FhirResource = {
  resourceType: 'Patient',
  name: [{ family: 'One', given: ['A', 'B'] }, { family: 'Two' }],
  telecom: [{ system: 'phone', value: '555 0100', period: { start: '2020-01-01' } }],
  contact: [{ name: { text: 'C' } }, { gender: 'other' }],
  contained: [{ resourceType: 'RelatedPerson', id: 'r', name: [{ text: 'D' }] }],
  birthDate: '1974-12-25',
};
const { sealed: SEALED, sites: SITES } = seal(PATIENT);

const proofOf = (resource: FhirResource) => proofText(ROOT, planOpen(resource, OWN).sites);

/** A sealed patient, as an upstream may take it apart. */
interface Draft extends FhirResource {
  name: { given?: string[]; _given?: Json[]; family?: string; _family?: Json }[];
  telecom?: Json;
  contact: { name?: Json }[];
}
const changed = (change: (draft: Draft) => unknown): FhirResource => {
  const draft = structuredClone(SEALED) as Draft;
  change(draft);
  return draft;
};
const [first, second] = [0, 1];
const nameAt = ({ name }: Draft, index: number) => name[index] as Draft['name'][number];

const CHANGES: Readonly<Record<string, (draft: Draft) => unknown>> = {
  'two entries of one list exchanged': (draft) =>
    (nameAt(draft, first)['_given'] = nameAt(draft, first)['_given']?.toReversed() ?? []),
  'two objects of one list exchanged': (draft) => (draft.name = draft.name.toReversed()),
  'an element left out': (draft) => delete draft.telecom,
  'an entry left out': (draft) => draft.name.pop(),
  'an entry twice': (draft) => draft.name.push(nameAt(draft, second)),
  'an element moved to another object of its list': (draft) => {
    const { given = [], _given: tokens = [], ...rest } = nameAt(draft, first);
    draft.name = [rest, { ...nameAt(draft, second), given, _given: tokens }];
  },
  'an element moved to an object that had none': (draft) => {
    draft.contact = [{}, { name: draft.contact[0]?.name ?? null }];
  },
};

for (const [what, change] of Object.entries(CHANGES))
  test(`[E1] ${what}: the proof is another one`, () => {
    assert.notEqual(proofOf(changed(change)), proofOf(SEALED));
  });

test('[E1] the order of members, spaces and members of the server do not change the proof', () => {
  const turned = (value: Json): Json =>
    Array.isArray(value)
      ? (value as readonly Json[]).map(turned)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .toReversed()
              .map(([name, member]) => [name, turned(member)]),
          )
        : value;
  const received = { ...(turned(SEALED) as FhirResource), meta: { versionId: '3' }, unheardOf: 'x' };
  assert.notEqual(JSON.stringify(received), JSON.stringify(SEALED));
  assert.equal(proofOf(received), proofOf(SEALED));
});

test('[E1] the rules a record was sealed under are proved with it', () => {
  const { sites } = planOpen(SEALED, OWN);
  assert.notEqual(proofText({ policy: '2.x' }, sites), proofText({ policy: '1.x' }, sites));
});

test('[E1] what is sealed and what is read have the same manifest', () => {
  const entries = SITES.map((site, index) => ({ ...site, token: `kw1.token_${index}` }));
  assert.equal(proofText(ROOT, entries), proofOf(SEALED));
});

test('[E1] the manifest is written as docs/reference/seal-format.md says', () => {
  const entries = [
    { path: 'Patient.name.family', position: '0.', token: 'kw1.f' },
    { path: 'Patient.birthDate', position: '', token: 'kw1.b' },
    { path: 'Patient.name.family', position: '1.', token: 'kw1.g' },
  ];
  const manifest = '17:Patient.birthDate0:5:kw1.b19:Patient.name.family2:0.5:kw1.f19:Patient.name.family2:1.5:kw1.g';
  const digest = createHash('sha256').update(manifest).digest('base64url');
  assert.equal(proofText({ policy: '1.abc' }, entries), `1.abc ${digest}`);
});
