/** A module hook for tests only: loads a product in which sealing is switched off for one field or one layer, to show that the checks notice. */
import { registerHooks } from 'node:module';

/** What to write instead, in which file of the server. */
type Change = readonly [file: string, from: string, to: string];

const BODY_SEALING = 'return sealBytes(key, this.#aad(address), Buffer.from(text));';
const INDEX_BLINDING = 'blindIndex(key, `store:${param}`, system, text)';
const STRING_BLINDING = "blindIndex(key, `store:${param}:exact`, '', Buffer.from(text).toString('hex'))";

const SWITCHED_OFF: Readonly<Record<string, readonly Change[]>> = {
  family: [
    ['/phi/rules.ts', "'HumanName.family': index('family'),", ''],
    ['/phi/clear.ts', "'Coding.version',", "'Coding.version', 'HumanName.family',"],
  ],
  bodies: [['/store/bodies.ts', BODY_SEALING, 'return Buffer.from(text);']],
  indexes: [
    ['/store/index-rows.ts', INDEX_BLINDING, 'text'],
    ['/store/string-tokens.ts', STRING_BLINDING, 'text'],
  ],
};

const wanted = (process.env['KEYWARD_TEST_UNSEALED'] ?? '').split(',').flatMap((name) => SWITCHED_OFF[name] ?? []);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const changes = wanted.filter(([file]) => url.endsWith(`/packages/server/src${file}`));
    if (changes.length === 0) return loaded;
    const source = changes.reduce(changed, Buffer.from(loaded.source as Uint8Array).toString());
    return { ...loaded, source };
  },
});

function changed(source: string, [file, from, to]: Change): string {
  // A change that changes nothing would let every check pass.
  if (!source.includes(from)) throw new Error(`${file} no longer holds: ${from}`);
  return source.replace(from, to);
}
