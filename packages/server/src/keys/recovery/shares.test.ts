/** Shares as text, and sealed to their holders. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateDataKey } from '@keyward/sdk/seal';
import { newUuid } from '../../core/index.ts';
import type { BackupHeader } from './format.ts';
import { generateHolderKey, isHolderPublicKey, isSealedShare, openSealedShare, sealShare } from './holder-keys.ts';
import { formatShare, joinShares, parseShare, splitKey } from './shares.ts';

const INVALID = { name: 'KeywardError', code: 'KEYS_BACKUP_INVALID' };

async function splitNew(names: readonly string[], threshold: number) {
  const key = generateDataKey();
  const header: BackupHeader = {
    version: 1,
    backup: newUuid(),
    installation: newUuid(),
    tenant: 'default',
    generation: '7',
    schema: 3,
    at: '2026-01-02T03:04:05.678Z',
    shares: names.length,
    threshold,
    key: key.id,
  };
  return { key, header, shares: await splitKey(key, header, names) };
}

/** Every choice of so many. */
const choices = <T>(from: readonly T[], count: number): T[][] =>
  count === 0
    ? [[]]
    : from.flatMap((one, index) => choices(from.slice(index + 1), count - 1).map((rest) => [one, ...rest]));

test('[K8] any quorum gives the key back, and no smaller group does', async () => {
  const { key, header, shares } = await splitNew(['a', 'b', 'c', 'd', 'e'], 3);
  for (const quorum of [...choices(shares, 3), ...choices(shares, 4), shares])
    assert.equal((await joinShares(header, quorum)).id, key.id);
  for (const few of [...choices(shares, 2), ...choices(shares, 1), []])
    await assert.rejects(joinShares(header, few), INVALID);
  // Also where the threshold that the header names was lowered: fewer shares give another key.
  for (const few of choices(shares, 2)) await assert.rejects(joinShares({ ...header, threshold: 2 }, few), INVALID);
});

test('[K8] a share survives being printed and typed in, and a slip is noticed', async () => {
  const { shares } = await splitNew(['ada@example.org', 'ben'], 2);
  const [share] = shares;
  const text = formatShare(share!);
  assert.deepEqual(parseShare(text), share);
  assert.deepEqual(parseShare(text.replaceAll('\n', '\r\n')), share);
  for (let at = 0; at < text.length - 1; at++) {
    const slip = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`;
    assert.throws(() => parseShare(slip), INVALID, `character ${at}`);
  }
  assert.throws(() => parseShare(text.split('\n').toReversed().join('\n')), INVALID);
});

test('[K8] a sealed share opens to its holder alone', () => {
  const [ada, ben] = [generateHolderKey(), generateHolderKey()];
  const sealed = sealShare('the share', ada.publicKey);
  assert.ok(isSealedShare(sealed) && !sealed.includes('the share'));
  assert.equal(openSealedShare(sealed, ada.privateKey), 'the share');
  assert.throws(() => openSealedShare(sealed, ben.privateKey), INVALID);
  assert.notEqual(sealShare('the share', ada.publicKey), sealed, 'a fresh key each time');
  const body = sealed.split('\n')[1] ?? '';
  for (let at = 0; at < body.length - 2; at += 5) {
    const altered = `${body.slice(0, at)}${body[at] === 'A' ? 'B' : 'A'}${body.slice(at + 1)}`;
    assert.throws(() => openSealedShare(sealed.replace(body, altered), ada.privateKey), INVALID, `character ${at}`);
  }
});

test('[K8] what is no holder key is refused, points of small order among them', () => {
  const { publicKey } = generateHolderKey();
  assert.ok(isHolderPublicKey(publicKey));
  const zero = `kwh1${Buffer.alloc(32).toString('base64url')}`;
  // Two spellings of one key would make two holders of one person.
  const [respelled, high] = [`${publicKey.slice(0, 9)}\n${publicKey.slice(9)}`, withHighBit(publicKey)];
  for (const text of [
    '',
    'kwh1',
    publicKey.slice(0, -3),
    publicKey.slice(4),
    `${publicKey}AAAA`,
    zero,
    respelled,
    high,
  ])
    assert.equal(isHolderPublicKey(text), false, text);
  assert.throws(() => sealShare('the share', zero), { name: 'KeywardError', code: 'KEYS_REQUEST_INVALID' });
});

/** Says the same to X25519 (RFC 7748, section 5). */
function withHighBit(publicKey: string): string {
  const bytes = Buffer.from(publicKey.slice(4), 'base64url');
  bytes[31] = bytes[31]! | 0x80;
  return `kwh1${bytes.toString('base64url')}`;
}
