/** The tables that a backup carries, in the order in which they can be put back. */

interface BackupTable {
  readonly name: string;
  /** Its rows are put back by the restore itself, not as they are. */
  readonly special?: 'installation' | 'kek' | 'data_key';
}

/**
 * Left out is what belongs to a custodian that runs: requests that wait for approvals, jobs, news. A rotation or rewrap that was
 * under way is begun anew; who approved what stands in the ledger.
 */
export const BACKUP_TABLES: readonly BackupTable[] = [
  { name: 'installation', special: 'installation' },
  { name: 'kek', special: 'kek' },
  { name: 'data_key', special: 'data_key' },
  { name: 'signing_key' },
  { name: 'key_transition' },
  { name: 'destruction' },
  { name: 'legal_hold' },
  { name: 'risk_acceptance' },
  { name: 'operator_role' },
  { name: 'approver_key' },
  { name: 'control_ended' },
  { name: 'key_policy' },
  { name: 'key_backup' },
  { name: 'key_drill' },
];
