/** Tests of the entry's bytes: a known answer, and that no bit of them is without effect. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '@noble/hashes/sha2.js';
import * as fc from 'fast-check';
import { encodeHeader, ENTRY_MAX_BYTES, type EntryHeader, headerSizeBytes, leafHash, lengthPrefixed } from './entry.ts';

const filled = (byte: number): Buffer => Buffer.alloc(16, byte);

const HEADER: EntryHeader = {
  id: '00112233-4455-6677-8899-aabbccddeeff',
  at: new Date('2026-01-02T03:04:05.678Z'),
  class: 'disclosure',
  tenant: 'clinic',
  actor: filled(0xa1),
  subjects: [filled(0xb1), filled(0xb2)],
  keyIds: [filled(0xc1)],
  correlation: 'ffeeddcc-bbaa-4988-8776-655443322110',
};
const BODY = Buffer.from('sealed body');

/** Written out by hand from the format in entry.ts; the leaf hash below was computed with Python's hashlib. */
const HEADER_HEX = `
  01
  0010 00112233445566778899aabbccddeeff
  0008 0000019b7ca98f2e
  000a 646973636c6f73757265
  0006 636c696e6963
  0010 ${'a1'.repeat(16)}
  0020 ${'b1'.repeat(16)} ${'b2'.repeat(16)}
  0010 ${'c1'.repeat(16)}
  0010 ffeeddccbbaa49888776655443322110
`.replaceAll(/\s/g, '');

test('[L2] a header has the bytes the format names', () => {
  assert.equal(encodeHeader(HEADER).toString('hex'), HEADER_HEX);
  const counts = { subjects: 2, keyIds: 1, tenant: HEADER.tenant, class: HEADER.class };
  assert.equal(headerSizeBytes(counts), HEADER_HEX.length / 2);
});

test('[L2] the leaf hash is the one of RFC 6962, computed independently', () => {
  const entry = Buffer.concat([Buffer.from(`00${HEADER_HEX}`, 'hex'), BODY]);
  const leaf = leafHash(encodeHeader(HEADER), BODY);
  assert.deepEqual(leaf, Buffer.from(sha256(entry)));
  assert.equal(leaf.toString('hex'), 'e7d9faf6d5bac4a72c6c7f82c7dbf0a0dbb5a3780ea1666623c273ac28285ca7');
});

test('[L2] the leaf hash of an empty entry is the one RFC 6962 implementations agree on', () => {
  const empty = '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d';
  assert.equal(leafHash(Buffer.alloc(0), Buffer.alloc(0)).toString('hex'), empty);
});

test('[L2] every bit of header and body counts', () => {
  const header = encodeHeader(HEADER);
  const leaves = new Set([leafHash(header, BODY).toString('hex')]);
  for (let bit = 0; bit < header.length * 8; bit += 1) leaves.add(leafHash(flip(header, bit), BODY).toString('hex'));
  for (let bit = 0; bit < BODY.length * 8; bit += 1) leaves.add(leafHash(header, flip(BODY, bit)).toString('hex'));
  assert.equal(leaves.size, 1 + (header.length + BODY.length) * 8);
});

function flip(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return copy;
}

const CHANGES: readonly Partial<EntryHeader>[] = [
  { id: '10112233-4455-6677-8899-aabbccddeeff' },
  { at: new Date('2026-01-02T03:04:05.679Z') },
  { class: 'denial' },
  { tenant: 'clinid' },
  { actor: filled(0xa2) },
  { subjects: [filled(0xb1)] },
  { subjects: [filled(0xb2), filled(0xb1)] },
  { subjects: [filled(0xb1), filled(0xb2), filled(0xc1)], keyIds: [] },
  { keyIds: [filled(0xc1), filled(0xc1)] },
  { correlation: '0feeddcc-bbaa-4988-8776-655443322110' },
];

test('[L2] every field of the header reaches its bytes', () => {
  const encodings = [HEADER, ...CHANGES.map((change) => ({ ...HEADER, ...change }))].map((h) =>
    encodeHeader(h).toString('hex'),
  );
  assert.equal(new Set(encodings).size, encodings.length);
});

test('[L2] length prefixes keep lists of fields apart', () => {
  const fields = fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 4 });
  const text = (list: readonly Uint8Array[]) => JSON.stringify(list.map((field) => [...field]));
  fc.assert(
    fc.property(fields, fields, (a, b) => lengthPrefixed(a).equals(lengthPrefixed(b)) === (text(a) === text(b))),
  );
});

const MALFORMED = [
  { what: 'an id that is no UUID', change: { id: '../../etc' }, code: 'CORE_INTERNAL' },
  { what: 'a correlation id that is no UUID', change: { correlation: '' }, code: 'CORE_INTERNAL' },
  { what: 'a key id of the wrong size', change: { keyIds: [Buffer.alloc(15)] }, code: 'CORE_INTERNAL' },
  {
    what: 'a field longer than its length can say',
    change: { tenant: 'x'.repeat(ENTRY_MAX_BYTES + 1) },
    code: 'LEDGER_ENTRY_TOO_LARGE',
  },
] as const;

for (const { what, change, code } of MALFORMED) {
  test(`[L1] ${what} is refused`, () => {
    assert.throws(() => encodeHeader({ ...HEADER, ...change }), { code });
  });
}
