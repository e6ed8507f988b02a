/** The internal CA: issues the certificate that Keyward's own listeners show, and renews it before it runs out (T1, T6). */
export { ensureCustodianCertificates, ensureServerCertificate, type ServerCertificate } from './ensure.ts';
