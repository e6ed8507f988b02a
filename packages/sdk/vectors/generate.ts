/** Writes the vector files from cases.ts with fixed randomness: `node packages/sdk/vectors/generate.ts`. A test holds the files equal to it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blindIndex, contextBytes, createDataKey, createEngine, type DataKey, sealBytes } from '../src/seal/index.ts';
import { readJsonText } from '../src/seal/json-text.ts';
import { mustFailVectors } from './must-fail.ts';
import { EMPTY_INDEX_CASES, ENVELOPE_CASES, INDEX_CASES, SECRETS, type SecretName, TOKEN_CASES } from './cases.ts';

export const vectorKey = (name: SecretName): DataKey => createDataKey(Buffer.from(SECRETS[name], 'hex'));

/** IVs by position: the number of the vector, in each byte. */
const ivOf = (position: number) => (sizeBytes: number) => Buffer.alloc(sizeBytes, position + 1);

/** Name and content of every vector file. */
export function vectorFiles(): ReadonlyMap<string, string> {
  const tokens = TOKEN_CASES.map(({ name, secret, context, json }, position) => {
    const [token] = createEngine(ivOf(position)).sealMany([
      { key: vectorKey(secret), context, value: readJsonText(json) },
    ]);
    return { name, secret, context, aadHex: contextBytes(context).toString('hex'), json, token: token as string };
  });
  const envelopes = ENVELOPE_CASES.map((row, position) => {
    const plaintext = Buffer.from(row.plaintextHex, 'hex');
    const envelope = sealBytes(vectorKey(row.secret), Buffer.from(row.aad), plaintext, ivOf(position));
    return { ...row, envelopeHex: envelope.toString('hex') };
  });
  const indexes = INDEX_CASES.map((row) => ({
    ...row,
    secret: 'counting',
    index: blindIndex(vectorKey('counting'), row.indexClass, row.system, row.normalised),
  }));
  const keys = Object.entries(SECRETS).map(([name, secretHex]) => ({
    name,
    secretHex,
    id: vectorKey(name as SecretName).id,
  }));
  return new Map([
    ['seal.json', toText({ keys, tokens, envelopes })],
    ['must-fail.json', toText(mustFailVectors((tokens[0] as { token: string }).token))],
    ['blind-index.json', toText({ indexes, empty: EMPTY_INDEX_CASES })],
  ]);
}

const toText = (content: unknown): string => `${JSON.stringify(content, null, 2)}\n`;

if (import.meta.main) for (const [name, text] of vectorFiles()) writeFileSync(join(import.meta.dirname, name), text);
