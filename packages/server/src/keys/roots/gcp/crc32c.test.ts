/** CRC-32C against the examples of RFC 3720, appendix B.4. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';

const EXAMPLES: readonly [string, Buffer, number][] = [
  ['32 bytes of zeroes', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['32 bytes counting up', Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e],
  ['32 bytes counting down', Buffer.from(Array.from({ length: 32 }, (_, at) => 31 - at)), 0x113fdb5c],
];

for (const [what, bytes, checksum] of EXAMPLES)
  test(`[K9] the CRC-32C of ${what} is that of the RFC`, () => assert.equal(crc32c(bytes), checksum));
