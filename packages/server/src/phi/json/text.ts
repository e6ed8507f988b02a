/** The text a sealed member of a JSON API is stored as: a token that brings along which write and whose key it belongs to. */
import { KeywardError } from '../../core/index.ts';
import { imitatesMark } from '../marks.ts';
import type { JsonRoot } from './types.ts';

const PREFIX = 'kw1j.';
const TOKEN_PREFIX = 'kw1.';
/** 16 bytes of object id, and 16 of scope unless it is the tenant, in base64url. */
const TEXT = /^kw1j\.([\w-]{22}|[\w-]{43})\.([\w-]+)$/;
const UUID_BYTES = 16;
const TENANT_SCOPE = 'tenant';

export const writeText = (root: JsonRoot, token: string): string =>
  `${PREFIX}${rootBytes(root).toString('base64url')}.${token.slice(TOKEN_PREFIX.length)}`;

/** @throws KeywardError `SEAL_NOT_AUTHENTIC` for what `writeText` does not write: a text has exactly one spelling. */
export function readText(text: string): { readonly root: JsonRoot; readonly token: string } {
  const [, rootText = '', rest = ''] = TEXT.exec(text) ?? [];
  const bytes = Buffer.from(rootText, 'base64url');
  if (bytes.toString('base64url') !== rootText || (bytes.length !== UUID_BYTES && bytes.length !== 2 * UUID_BYTES))
    throw new KeywardError('SEAL_NOT_AUTHENTIC');
  const scope = bytes.length === UUID_BYTES ? TENANT_SCOPE : uuidOf(bytes.subarray(UUID_BYTES));
  return { root: { objectId: uuidOf(bytes.subarray(0, UUID_BYTES)), scope }, token: TOKEN_PREFIX + rest };
}

/** Whether a text claims to be one; never proof that it is. */
export const looksLikeText = (value: string): boolean => value.startsWith(PREFIX);

/** A token, a stored text or a blind index, also one that an upstream or a URL has wrapped in something. */
const MARK_WITHIN = /kw1j?(?:\.|%2e)[\w-]{22}|kwi1[a-z2-7]{26}/i;

/** Whether a clear text is, imitates or contains something that only Keyward writes. */
export const holdsMark = (value: string): boolean => imitatesMark(value) || MARK_WITHIN.test(value);

function rootBytes({ objectId, scope }: JsonRoot): Buffer {
  const uuids = scope === TENANT_SCOPE ? [objectId] : [objectId, scope];
  return Buffer.from(uuids.join('').replaceAll('-', ''), 'hex');
}

const uuidOf = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
