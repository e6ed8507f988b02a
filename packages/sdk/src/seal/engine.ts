/** The seal engine on node:crypto: seals and opens the fields of a resource in one call. */
import { randomBytes } from 'node:crypto';
import { ContextWriter } from './context.ts';
import type { RandomBytes } from './data-key.ts';
import { openBytes, sealInPlace } from './envelope.ts';
import { SealError } from './errors.ts';
import { ENVELOPE_OVERHEAD_BYTES, HEADER_BYTES, IV_BYTES, paddedBytes } from './format.ts';
import { readJsonText, writeJsonText } from './json-text.ts';
import { decodeToken, encodeToken } from './token.ts';
import type { Json, OpenItem, SealEngine, SealItem } from './types.ts';

/** JSON text may end in spaces, so padding needs no length field and no removal. */
const PADDING = 0x20;

export function createEngine(random: RandomBytes = randomBytes): SealEngine {
  const contexts = new ContextWriter();
  return {
    name: 'node:crypto',
    sealMany: (items) => sealMany(items, contexts, random),
    openMany: (items) => items.map((item) => openOne(item, contexts)),
  };
}

interface Plaintext {
  readonly text: string;
  readonly textBytes: number;
  /** With padding. */
  readonly sizeBytes: number;
}

/** One draw of randomness and one working buffer serve the whole batch. */
function sealMany(items: readonly SealItem[], contexts: ContextWriter, random: RandomBytes): string[] {
  const plaintexts = items.map(plaintextOf);
  const longestBytes = plaintexts.reduce((longest, { sizeBytes }) => Math.max(longest, sizeBytes), 0);
  const work = Buffer.allocUnsafe(longestBytes + ENVELOPE_OVERHEAD_BYTES);
  const ivs = random(items.length * IV_BYTES);
  return items.map(({ key, context }, position) => {
    const plaintext = plaintexts[position] as Plaintext;
    const envelope = layOut(work, plaintext);
    sealInPlace(envelope, key, ivs.subarray(position * IV_BYTES, (position + 1) * IV_BYTES), contexts.write(context));
    return encodeToken(envelope);
  });
}

function plaintextOf({ value, context }: SealItem): Plaintext {
  const text = writeJsonText(value);
  const textBytes = Buffer.byteLength(text);
  return { text, textBytes, sizeBytes: paddedBytes(context.fieldClass, textBytes) };
}

function layOut(work: Buffer, { text, textBytes, sizeBytes }: Plaintext): Buffer {
  work.write(text, HEADER_BYTES, 'utf8');
  work.fill(PADDING, HEADER_BYTES + textBytes, HEADER_BYTES + sizeBytes);
  return work.subarray(0, sizeBytes + ENVELOPE_OVERHEAD_BYTES);
}

function openOne({ key, context, token }: OpenItem, contexts: ContextWriter): Json {
  const envelope = decodeToken(token);
  const plaintext = openBytes(key, contexts.write(context), envelope);
  try {
    return readJsonText(plaintext.toString('utf8'));
  } catch {
    // What this engine sealed is JSON; what is not was made for another use of the key.
    throw new SealError('SEAL_NOT_AUTHENTIC');
  } finally {
    plaintext.fill(0);
  }
}
