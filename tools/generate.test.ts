/** The checked-in tables are what the generator makes of the definitions. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GENERATED_FOLDER, generate } from './generate.ts';

test('[E1] the tables of the R4 catalogue are those that the official definitions give', () => {
  for (const [name, content] of Object.entries(generate())) {
    assert.equal(readFileSync(new URL(name, GENERATED_FOLDER), 'utf8'), content, `${name}: run "npm run generate"`);
  }
});
