/** The official R4 examples through the seal and back; all of them with KEYWARD_TEST_ALL=1. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@keyward/sdk/seal';
import type { SealSite } from './index.ts';
import { exampleNames, open, readExample, seal, withhold } from './test-support.ts';

const names = exampleNames(process.env['KEYWARD_TEST_ALL'] !== undefined);

/** A value of the same datatype that is nowhere else in an example. */
function canary(site: SealSite, number: number): Json {
  const word = `Canary${number}x`;
  const byType: Readonly<Record<string, Json>> = {
    date: '1971-10-09',
    dateTime: '1971-10-09T08:07:06Z',
    instant: '1971-10-09T08:07:06Z',
    time: '08:07:06',
    base64Binary: Buffer.from(`Canary ${number}`).toString('base64'),
    xhtml: `<div xmlns="http://www.w3.org/1999/xhtml">${word}</div>`,
    url: `http://canary.example/${word}`,
    uri: `http://canary.example/${word}`,
    boolean: true,
    integer: 971009871,
    positiveInt: 971009871,
    unsignedInt: 971009871,
    decimal: JSON.rawJSON('97.100987100'),
    code: word,
  };
  return byType[site.datatype] ?? word;
}

const CANARY = /canary|Q2FuYXJ5|1971-10|08:07:06|97\.?1009871/i;

test('[E1] every official example comes back exactly as it was, and shows nothing while it is sealed', () => {
  for (const name of names) {
    const original = readExample(name);
    const round = seal(original);
    assert.deepEqual(open(round.sealed, round.vault), original, name);
    if (round.sites.length === 0) continue;
    const canaries = new Map(
      [...round.vault.keys()].map((token, number) => [token, canary(round.sites[number] as SealSite, number)]),
    );
    const marked = seal(open(round.sealed, canaries));
    assert.equal(marked.sites.length, round.sites.length, name);
    assert.doesNotMatch(JSON.stringify(marked.sealed), CANARY, name);
  }
});

test('[A4] a reader from whom everything is withheld sees neither values nor tokens nor indexes, whatever the example', () => {
  for (const name of names) {
    const { sealed, sites } = seal(readExample(name));
    const text = JSON.stringify(withhold(sealed));
    if (sites.length > 0) assert.doesNotMatch(text, /kw1\.|kwi1|urn:keyward/, name);
  }
});
