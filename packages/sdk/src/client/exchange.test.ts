/** What is left in memory of an answer that held keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readText } from './exchange.ts';

async function* inChunks(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

const isWiped = (chunk: Buffer): boolean => chunk.every((byte) => byte === 0);

test('[K10] the chunks of an answer are wiped, and its text is whole, also where a chunk ends inside a character', async () => {
  const bytes = Buffer.from('{"keys":[{"secret":"c2VjcmV0"}],"note":"ü€"}');
  const chunks = [bytes.subarray(0, 21), bytes.subarray(21, -4), bytes.subarray(-4)];
  assert.equal(await readText(inChunks(chunks)), '{"keys":[{"secret":"c2VjcmV0"}],"note":"ü€"}');
  assert.ok(isWiped(bytes));
});

test('[K10] an answer that is too large is refused, and what was read of it is wiped', async () => {
  const chunks = [Buffer.alloc(1024 * 1024, 'A'), Buffer.from('B'), Buffer.from('C')];
  await assert.rejects(readText(inChunks(chunks)), /too large/);
  assert.deepEqual(chunks.map(isWiped), [true, true, false]);
});
