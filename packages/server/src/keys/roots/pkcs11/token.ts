/** A token through its PKCS#11 library: one session, one key, which was made inside and cannot leave. */
import { CK, type Handle, type Pkcs11, type Template } from './binding.ts';
import { MECHANISMS, type Using } from './mechanisms.ts';
import type { TokenComplaint, TokenSettings } from './messages.ts';

export interface Token {
  readonly hardware: boolean;
  /** Makes the key where there is none. Answers length and bytes of its CKA_ID, then the ciphertext. */
  encrypt(secret: Buffer, context: Buffer): Buffer;
  decrypt(ciphertext: Buffer, context: Buffer): Buffer;
}

const complain = (complaint: TokenComplaint): Error => new Error(complaint);

const KEY_BYTES = 32;
const ID_BYTES = 16;
/** More than one is one too many. */
const FIND_MAX = 2;

/** @throws Pkcs11Error of the library, or an error whose message is a `TokenComplaint` */
export function openToken(library: Pkcs11, settings: TokenSettings): Token {
  load(library, settings.module);
  library.C_Initialize();
  const slot = findSlot(library, settings.token);
  const { mechanism, rights, encrypt, decrypt } = MECHANISMS[settings.mechanism];
  const worksFor = (using: Using): boolean => {
    try {
      const [probe, context] = [Buffer.alloc(KEY_BYTES, 1), Buffer.alloc(KEY_BYTES)];
      return decrypt(using, encrypt(using, probe, context), context).equals(probe);
    } catch {
      return false;
    }
  };
  if (!library.C_GetMechanismList(slot).includes(mechanism)) throw complain('MECHANISM_MISSING');
  const session = logIn(library, slot, settings.pin);
  const find = () => findKey(library, session, settings.key, rights);
  /** Of two custodians that make the key at once, at most one finds its own alone afterwards; the others take theirs away. */
  const generate = (): FoundKey => {
    const made = generateKey(library, session, settings.key, rights);
    if (findHandles(library, session, settings.key).length === 1) return made;
    library.C_DestroyObject(session, made.key);
    throw complain('KEY_RACE');
  };
  const under = (key: Handle): Using => ({ library, session, key });
  return {
    hardware: (library.C_GetSlotInfo(slot).flags & CK.CKF_HW_SLOT) !== 0,
    encrypt(secret, context) {
      const { key, id } = find() ?? generate();
      return Buffer.concat([Buffer.of(id.length), id, encrypt(under(key), secret, context)]);
    },
    decrypt(ciphertext, context) {
      const found = find();
      if (!found) throw complain('KEY_MISSING');
      const { id, rest } = splitId(ciphertext);
      if (!id.equals(found.id)) throw complain('KEY_OTHER');
      try {
        return decrypt(under(found.key), rest, context);
      } catch (thrown) {
        // Some libraries have one word for an altered ciphertext and for a token in trouble: what it makes itself tells which.
        throw worksFor(under(found.key)) ? complain('CIPHERTEXT_REFUSED') : thrown;
      }
    },
  };
}

function load(library: Pkcs11, module: string): void {
  try {
    library.load(module);
  } catch {
    throw complain('LIBRARY_MISSING');
  }
}

function findSlot(library: Pkcs11, label: string): Handle {
  const [slot, another] = library
    .C_GetSlotList(true)
    .filter((each) => library.C_GetTokenInfo(each).label.replace(/[\s\0]+$/, '') === label);
  if (!slot) throw complain('TOKEN_MISSING');
  if (another) throw complain('TOKEN_AMBIGUOUS');
  return slot;
}

function logIn(library: Pkcs11, slot: Handle, pin: string): Handle {
  if (library.C_GetTokenInfo(slot).flags & CK.CKF_USER_PIN_FINAL_TRY) throw complain('PIN_LAST_TRY');
  const session = library.C_OpenSession(slot, CK.CKF_SERIAL_SESSION | CK.CKF_RW_SESSION);
  library.C_Login(session, CK.CKU_USER, pin);
  return session;
}

interface FoundKey {
  readonly key: Handle;
  readonly id: Buffer;
}

const named = (label: string): Template => [
  { type: CK.CKA_CLASS, value: CK.CKO_SECRET_KEY },
  { type: CK.CKA_KEY_TYPE, value: CK.CKK_AES },
  { type: CK.CKA_TOKEN, value: true },
  { type: CK.CKA_LABEL, value: label },
];

/** Attributes a key must have before KEKs stand on it: never known outside the token, not even when it was made (K2). */
const REQUIRED = [CK.CKA_SENSITIVE, CK.CKA_ALWAYS_SENSITIVE, CK.CKA_NEVER_EXTRACTABLE, CK.CKA_LOCAL];

function findHandles(library: Pkcs11, session: Handle, label: string): Handle[] {
  library.C_FindObjectsInit(session, named(label));
  const found = library.C_FindObjects(session, FIND_MAX);
  library.C_FindObjectsFinal(session);
  return found;
}

/** Looked up each time: an object that was removed or disabled meanwhile is noticed. */
function findKey(library: Pkcs11, session: Handle, label: string, rights: readonly number[]): FoundKey | undefined {
  const [key, another] = findHandles(library, session, label);
  if (another) throw complain('KEY_AMBIGUOUS');
  if (!key) return undefined;
  const read = (type: number) => library.C_GetAttributeValue(session, key, [{ type }])[0]?.value ?? Buffer.alloc(0);
  const isFit = REQUIRED.every((type) => read(type)[0] === 1) && read(CK.CKA_VALUE_LEN)[0] === KEY_BYTES;
  if (!isFit) throw complain('KEY_UNFIT');
  if (!rights.every((type) => read(type)[0] === 1)) throw new Error('CKR_KEY_FUNCTION_NOT_PERMITTED');
  return { key, id: Buffer.from(read(CK.CKA_ID)) };
}

function generateKey(library: Pkcs11, session: Handle, label: string, rights: readonly number[]): FoundKey {
  const id = library.C_GenerateRandom(session, Buffer.alloc(ID_BYTES));
  const key = library.C_GenerateKey(session, { mechanism: CK.CKM_AES_KEY_GEN }, [
    ...named(label),
    { type: CK.CKA_ID, value: id },
    { type: CK.CKA_VALUE_LEN, value: KEY_BYTES },
    { type: CK.CKA_PRIVATE, value: true },
    { type: CK.CKA_SENSITIVE, value: true },
    { type: CK.CKA_EXTRACTABLE, value: false },
    ...[CK.CKA_ENCRYPT, CK.CKA_DECRYPT, CK.CKA_WRAP, CK.CKA_UNWRAP].map((type) => ({
      type,
      value: rights.includes(type),
    })),
  ]);
  return { key, id };
}

function splitId(ciphertext: Buffer): { id: Buffer; rest: Buffer } {
  const end = 1 + (ciphertext[0] ?? 0);
  if (ciphertext.length <= end) throw complain('CIPHERTEXT_SHORT');
  return { id: ciphertext.subarray(1, end), rest: ciphertext.subarray(end) };
}
