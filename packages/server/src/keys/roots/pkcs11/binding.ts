/** The PKCS#11 binding (npm `pkcs11js`, an optional peer that needs a compiler), as far as it is used here. */
import { createRequire } from 'node:module';

/** A handle of a slot, a session or an object. */
export type Handle = Buffer;
export type Template = { type: number; value?: Buffer | number | boolean | string }[];

interface Mechanism {
  readonly mechanism: number;
  readonly parameter?: { type: number; iv: Buffer; aad: Buffer; ivBits: number; tagBits: number };
}

export interface Pkcs11 {
  load(path: string): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetSlotInfo(slot: Handle): { flags: number };
  C_GetTokenInfo(slot: Handle): { label: string; flags: number };
  C_GetMechanismList(slot: Handle): number[];
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_Login(session: Handle, userType: number, pin: string): void;
  C_FindObjectsInit(session: Handle, template: Template): void;
  C_FindObjects(session: Handle, maxObjectCount: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(session: Handle, object: Handle, template: Template): { type: number; value: Buffer }[];
  C_GenerateKey(session: Handle, mechanism: Mechanism, template: Template): Handle;
  C_GenerateRandom(session: Handle, buffer: Buffer): Buffer;
  C_EncryptInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Encrypt(session: Handle, input: Buffer, output: Buffer): Buffer;
  C_DecryptInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Decrypt(session: Handle, input: Buffer, output: Buffer): Buffer;
  C_CreateObject(session: Handle, template: Template): Handle;
  C_DestroyObject(session: Handle, object: Handle): void;
  C_WrapKey(session: Handle, mechanism: Mechanism, wrappingKey: Handle, key: Handle, output: Buffer): Buffer;
  C_UnwrapKey(session: Handle, mechanism: Mechanism, key: Handle, wrapped: Buffer, template: Template): Handle;
}

/** Undefined when it is not installed. `require` looks in NODE_PATH too, where a shared installation may lie. */
export function loadBinding(): Pkcs11 | undefined {
  try {
    const { PKCS11 } = createRequire(import.meta.url)('pkcs11js') as { PKCS11: new () => Pkcs11 };
    return new PKCS11();
  } catch {
    return undefined;
  }
}

/** Constants of PKCS#11 3.1; the binding has them too, but is not there when types are checked. */
export const CK = {
  CKF_HW_SLOT: 0x4,
  CKF_RW_SESSION: 0x2,
  CKF_SERIAL_SESSION: 0x4,
  CKF_USER_PIN_FINAL_TRY: 0x20000,
  CKU_USER: 1,
  CKO_SECRET_KEY: 4,
  CKK_AES: 0x1f,
  CKA_CLASS: 0x0,
  CKA_TOKEN: 0x1,
  CKA_PRIVATE: 0x2,
  CKA_LABEL: 0x3,
  CKA_VALUE: 0x11,
  CKA_KEY_TYPE: 0x100,
  CKA_ID: 0x102,
  CKA_SENSITIVE: 0x103,
  CKA_ENCRYPT: 0x104,
  CKA_DECRYPT: 0x105,
  CKA_WRAP: 0x106,
  CKA_UNWRAP: 0x107,
  CKA_VALUE_LEN: 0x161,
  CKA_EXTRACTABLE: 0x162,
  CKA_LOCAL: 0x163,
  CKA_NEVER_EXTRACTABLE: 0x164,
  CKA_ALWAYS_SENSITIVE: 0x165,
  CKM_AES_KEY_GEN: 0x1080,
  CKM_AES_GCM: 0x1087,
  CKM_AES_KEY_WRAP_PAD: 0x210a,
  /** Number of the binding, not of the standard: parameters of AES-GCM with the length of the IV in bits (version 2.40). */
  PARAMS_AES_GCM: 7,
} as const;
