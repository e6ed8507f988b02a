/** The name of one of our processes in a certificate: a SPIFFE ID, as URI in its subject alternative names. */

/** SPIFFE ID specification, section 2: trust domain and path; the tenant keeps installations under one CA apart. */
export const processUri = (tenant: string, processName: string): string => `spiffe://keyward/${tenant}/${processName}`;
