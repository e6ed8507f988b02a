/** Rules that the plan answers to, each with its citation and whether it is in force. Facts about law, checked on a day. */

interface Rule {
  readonly citation: string;
  readonly says: string;
  readonly status:
    | 'in force – required'
    | 'in force – addressable'
    | 'in force – guidance'
    | 'proposed'
    | 'recommendation';
  readonly answered: string;
}

/** The day on which citations and statuses were checked. */
export const RULES_CHECKED = '2026-11-21';

// biome-ignore format: a table
export const RULES: readonly Rule[] = [
  { citation: '45 CFR 164.312(a)(2)(iv)',       status: 'in force – addressable', says: 'encryption and decryption of ePHI at rest',                          answered: 'Key types' },
  { citation: '45 CFR 164.308(a)(7)(ii)(A–B)',  status: 'in force – required',    says: 'data backup plan, disaster recovery plan',                            answered: 'Recovery' },
  { citation: '45 CFR 164.308(a)(8)',           status: 'in force – required',    says: 'periodic evaluation',                                                 answered: 'Review' },
  { citation: '45 CFR 164.312(b)',              status: 'in force – required',    says: 'audit controls',                                                      answered: 'Procedures: every use and change of a key is recorded first' },
  { citation: '45 CFR 164.316(b)(2)',           status: 'in force – required',    says: 'documentation is kept six years and reviewed',                        answered: 'Review: keep this plan' },
  { citation: '74 FR 42740 (unsecured PHI)',    status: 'in force – guidance',    says: 'keys are kept on a device or at a location apart from the data',      answered: 'Storage, Root' },
  { citation: '90 FR 898 (NPRM), 164.312(b)(2)', status: 'proposed',              says: 'encryption of all ePHI at rest and in transit, no longer addressable', answered: 'Key types' },
  { citation: 'NIST SP 800-57 part 1 rev. 5',   status: 'recommendation',         says: 'states, cryptoperiods, protection, compromise, destruction of keys',  answered: 'cited in each section' },
  { citation: 'NIST SP 800-38D, section 8.3',   status: 'recommendation',         says: 'at most 2^32 uses of one AES-GCM key with random nonces',             answered: 'Usage limits' },
];
