/** How the token encrypts 32 bytes, by the name in the configuration. */
import { CK, type Handle, type Pkcs11 } from './binding.ts';
import type { TokenSettings } from './messages.ts';

export interface Using {
  readonly library: Pkcs11;
  readonly session: Handle;
  readonly key: Handle;
}

interface TokenMechanism {
  /** Number of the mechanism the token must offer. */
  readonly mechanism: number;
  /** Whatever the key must be allowed to do: two attributes. */
  readonly rights: readonly number[];
  readonly encrypt: (using: Using, secret: Buffer, context: Buffer) => Buffer;
  /** @throws Pkcs11Error of the library when it was altered */
  readonly decrypt: (using: Using, ciphertext: Buffer, context: Buffer) => Buffer;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;
/** What AES key wrap with padding adds (RFC 5649). */
const KEY_WRAP_BYTES = 8;

const gcm = (iv: Buffer, aad: Buffer) => ({
  mechanism: CK.CKM_AES_GCM,
  parameter: { type: CK.PARAMS_AES_GCM, iv, aad, ivBits: iv.length * 8, tagBits: TAG_BYTES * 8 },
});

const KEY_WRAP = { mechanism: CK.CKM_AES_KEY_WRAP_PAD };

/** An object of this session that may leave the token: it is the wrapping key of an envelope, not a key of the token. */
const SESSION_KEY = [
  { type: CK.CKA_CLASS, value: CK.CKO_SECRET_KEY },
  { type: CK.CKA_KEY_TYPE, value: CK.CKK_AES },
  { type: CK.CKA_TOKEN, value: false },
  { type: CK.CKA_SENSITIVE, value: false },
  { type: CK.CKA_EXTRACTABLE, value: true },
];

export const MECHANISMS: Readonly<Record<TokenSettings['mechanism'], TokenMechanism>> = {
  'aes-gcm': {
    mechanism: CK.CKM_AES_GCM,
    rights: [CK.CKA_ENCRYPT, CK.CKA_DECRYPT],
    encrypt({ library, session, key }, secret, context) {
      const iv = library.C_GenerateRandom(session, Buffer.alloc(IV_BYTES));
      library.C_EncryptInit(session, gcm(iv, context), key);
      return Buffer.concat([iv, library.C_Encrypt(session, secret, Buffer.alloc(secret.length + TAG_BYTES))]);
    },
    decrypt({ library, session, key }, ciphertext, context) {
      const [iv, sealed] = [ciphertext.subarray(0, IV_BYTES), ciphertext.subarray(IV_BYTES)];
      library.C_DecryptInit(session, gcm(Buffer.from(iv), context), key);
      return library.C_Decrypt(session, sealed, Buffer.alloc(sealed.length));
    },
  },
  /** Binds no context: the envelope around it does. */
  'aes-key-wrap-pad': {
    mechanism: CK.CKM_AES_KEY_WRAP_PAD,
    rights: [CK.CKA_WRAP, CK.CKA_UNWRAP],
    encrypt({ library, session, key }, secret) {
      const object = library.C_CreateObject(session, [...SESSION_KEY, { type: CK.CKA_VALUE, value: secret }]);
      try {
        return library.C_WrapKey(session, KEY_WRAP, key, object, Buffer.alloc(secret.length + KEY_WRAP_BYTES));
      } finally {
        library.C_DestroyObject(session, object);
      }
    },
    decrypt({ library, session, key }, ciphertext) {
      const object = library.C_UnwrapKey(session, KEY_WRAP, key, ciphertext, SESSION_KEY);
      try {
        return library.C_GetAttributeValue(session, object, [{ type: CK.CKA_VALUE }])[0]?.value ?? Buffer.alloc(0);
      } finally {
        library.C_DestroyObject(session, object);
      }
    },
  },
};
