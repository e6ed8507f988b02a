/** What operators may do about recovery and ask about it: rows of the tables of acts and questions. */
import type { Pool } from 'pg';
import { z } from 'zod';
import { KeywardError, newUuid } from '../../core/index.ts';
import type { Act, Question } from '../control/act.ts';
import { nameOfPerson } from '../operators.ts';
import { query } from '../query.ts';
import { type BackupDeps, makeBackup } from './backup.ts';
import { isHolderPublicKey, sealShare } from './holder-keys.ts';
import { formatShare, HOLDER_NAME } from './shares.ts';

const holder = z.strictObject({
  name: z.string().regex(HOLDER_NAME),
  publicKey: z.string().refine(isHolderPublicKey, 'no key of "keyward keys holder-key"'),
});

const backupParams = z
  .strictObject({
    /** Shares that give the backup key back. */
    threshold: z.int().min(2).max(255),
    holders: z.array(holder).min(2).max(255),
  })
  .refine(({ threshold, holders }) => threshold <= holders.length, 'more shares are needed than there are')
  .refine(({ holders }) => isDistinct(holders.map(({ name }) => name)), 'two holders have one name')
  .refine(({ holders }) => isDistinct(holders.map(({ publicKey }) => publicKey)), 'two holders have one key');

const isDistinct = (values: readonly string[]): boolean => new Set(values).size === values.length;

const drillParams = z.strictObject({
  backup: z.uuid(),
  opened: z.boolean(),
  /** Why nothing was opened. */
  errorCode: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]{1,63}$/)
    .optional(),
  durationMs: z.int().min(0),
});

const act = <Params>(row: Act<Params>): Act => row;

export function recoveryActs(deps: BackupDeps): Act[] {
  const { pool, tenant, clock } = deps;
  return [
    act({
      name: 'backup',
      summary: 'Back up the key hierarchy, sealed under a key that is split among holders.',
      role: 'key-creator',
      dual: true,
      params: backupParams,
      resources: () => ['backup'],
      async run({ threshold, holders }, { by }) {
        const names = holders.map(({ name }) => name);
        const { header, file, shares } = await makeBackup(deps, { threshold, names, by: nameOfPerson(by) });
        const sealed = shares.map((share, index) => ({
          holder: share.name,
          share: sealShare(formatShare(share), holders[index]?.publicKey ?? ''),
        }));
        return { backup: header.backup, file, at: header.at, generation: header.generation, threshold, shares: sealed };
      },
    }),
    act({
      name: 'record-drill',
      summary: 'Record what a rehearsal of recovery showed.',
      role: ['key-creator', 'auditor'],
      dual: false,
      params: drillParams,
      resources: ({ backup }) => [`backup/${backup}`],
      async run({ backup, opened, errorCode, durationMs }, { by }) {
        const values = [
          newUuid(),
          tenant,
          backup,
          opened,
          errorCode ?? null,
          durationMs,
          nameOfPerson(by),
          clock.now(),
        ];
        if (opened === (errorCode !== undefined)) throw new KeywardError('KEYS_REQUEST_INVALID');
        await query(pool, INSERT_DRILL, values);
        return { recorded: true };
      },
    }),
  ];
}

const INSERT_DRILL = `
  INSERT INTO key_drill (id, tenant, backup_id, opened, error_code, duration_ms, done_by, done_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;

export function recoveryQuestions({ pool, tenant }: { readonly pool: Pool; readonly tenant: string }): Question[] {
  const nothing = z.strictObject({});
  const roles = ['key-creator', 'key-rotator', 'key-destroyer', 'approver', 'auditor'] as const;
  const list = (name: string, summary: string, select: string): Question => ({
    name,
    summary,
    roles,
    params: nothing,
    resources: () => [],
    answer: async () => ({ [name]: await query(pool, select, [tenant]) }),
  });
  return [
    list('backups', 'The backups that were made here, newest first.', SELECT_BACKUPS),
    list('drills', 'The rehearsals of recovery, newest first.', SELECT_DRILLS),
  ];
}

const SELECT_BACKUPS = `
  SELECT id AS backup, file, generation::text, threshold, shares, made_by AS "by", made_at AS "at"
  FROM key_backup WHERE tenant = $1 ORDER BY made_at DESC LIMIT 1000`;

const SELECT_DRILLS = `
  SELECT backup_id AS backup, opened, error_code AS "errorCode", duration_ms::text AS "durationMs", done_by AS "by", done_at AS "at"
  FROM key_drill WHERE tenant = $1 ORDER BY done_at DESC LIMIT 1000`;
