/** Procedures: what is done, with which command, and which clause it answers. */

interface Procedure {
  readonly what: string;
  readonly command: string;
  readonly how: string;
  /** Section of NIST SP 800-57 part 1 rev. 5. */
  readonly section: string;
}

// biome-ignore format: a table
export const PROCEDURES: readonly Procedure[] = [
  { what: 'Rotate the KEK',        section: '8.2.3',  command: 'keys rotate kek',       how: 'By schedule or command. A new version is distributed, then promoted; data keys are wrapped anew in a job that goes on after an interruption; the version before is deactivated when nothing stands under it. No data is touched.' },
  { what: 'Rotate a data key',     section: '8.2.3',  command: 'keys rotate subject/UUID', how: 'By time and use when it is next needed, or by command. What was sealed before stays readable with the version before.' },
  { what: 'Suspend and resume',    section: '7.3',    command: 'keys suspend, resume',  how: 'Protects nothing from then on; opens what it protected only where the risk was accepted, for days, under dual control.' },
  { what: 'Compromise',            section: '5.5, 7.5, 8.3.5', command: 'keys compromise', how: 'Marks the key for good and stops it in every process within a second. "keys stale" lists what has to be re-encrypted; "keys rewrap" and a backfill do it.' },
  { what: 'Destroy a key',         section: '7.6, 8.3.4', command: 'keys destroy',      how: 'Under dual control. Stops at once, waits, can be called off; every attempt to use it meanwhile raises an alarm. Then the wrapped key is erased, with a signed certificate. A legal hold prevents it, and a KEK that data keys stand under is not destroyed.' },
  { what: 'Shred a patient',       section: '8.3.4',  command: 'keys shred PATIENT',    how: 'The same for every key of one patient: fields, history, caches and backups that hold the keys.' },
  { what: 'Back up the hierarchy', section: '8.2.2.1', command: 'keys backup',          how: 'Under dual control: sealed under a key that is split among holders.' },
  { what: 'Recover',               section: '8.2.2.2', command: 'keys restore',         how: 'M of N holders give the backup key back, into an empty installation, under whichever root that has.' },
  { what: 'Rehearse recovery',     section: '9.3',    command: 'keys drill',            how: 'Restores into a directory of its own, opens a sealed patient there, and records the result.' },
  { what: 'Change the root',       section: '8.2.3',  command: 'keys move-root',        how: 'Under dual control: every KEK is wrapped by the root that keys.nextRoot names, while everything goes on.' },
  { what: 'Account for uses',      section: '9.1, 9.2', command: 'keys usage KEY',      how: 'Every use of a key is recorded before it takes effect: who, when, which key, for what purpose. Without a record there is no key.' },
];
