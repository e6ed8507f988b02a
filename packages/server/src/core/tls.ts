/** What every HTTPS listener of ours speaks, and the headers every answer of it has (T1, T2, T3). */

/** TLS 1.3 only; the hybrid post-quantum group first, classical ECDHE behind it. */
export const TLS_POLICY = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
  honorCipherOrder: true,
} as const;

export const RESPONSE_HEADERS = {
  // One year is the least that browsers' preload lists accept.
  'strict-transport-security': 'max-age=31536000',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const;
