/** The verbs of `keyward keys` that are one act or one question each: a table. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import { ACCEPTANCE_MAX_DAYS, OPERATOR_ROLES, parseKeyRef } from '../../keys/index.ts';
import type { TokenSourceOptions } from '../context.ts';
import { wholeNumber } from '../verb.ts';
import type { KeysDesk } from './desk.ts';
import {
  renderBackups,
  renderDestructions,
  renderDrills,
  renderHolds,
  renderJobs,
  renderKey,
  renderList,
  renderRoles,
  renderSettings,
  renderSigningKeys,
  renderStale,
  renderUses,
} from './screen.ts';

export interface KeysFlags extends TokenSourceOptions {
  readonly reason?: string;
  readonly wait?: boolean;
  readonly kind?: string;
  readonly state?: string;
  readonly after?: string;
  readonly limit?: number;
  readonly days?: number;
  readonly issuer?: string;
  readonly all?: boolean;
  readonly again?: boolean;
  readonly keyFile?: string;
}

export interface VerbOption {
  readonly flags: string;
  readonly description: string;
  readonly read?: (text: string) => unknown;
  readonly required?: boolean;
}

interface VerbRow {
  readonly name: string;
  readonly summary: string;
  /** Arguments as commander spells them: `<key>`, `[name]`. */
  readonly takes?: readonly string[];
  readonly example: string;
  readonly options?: readonly VerbOption[];
  params(args: readonly string[], flags: KeysFlags, desk: KeysDesk): Json | Promise<Json>;
}

/** Changes something: takes a reason, and may wait for approvals. */
export interface ActVerb extends VerbRow {
  readonly act: string;
  /** Starts a job; `--wait` shows its progress. */
  readonly job?: true;
}

export interface QuestionVerb extends VerbRow {
  readonly question: string;
  readonly render: (answer: Json) => string;
}

const MAX_DAYS = 3660;
const USAGE_DAYS = 30;
const ACCEPTANCE_DAYS = 7;

const target = ([key = '']: readonly string[]): Json => ({ target: key });
const nothing = (): Json => ({});

/** Of one key: `keyward keys suspend kek/3`. */
const onKey = (name: string, summary: string, example: string, more: Partial<ActVerb> = {}): ActVerb => ({
  name,
  act: name,
  summary,
  takes: ['<key>'],
  example: `keyward keys ${example}`,
  params: target,
  ...more,
});

const WAIT: VerbOption = { flags: '--wait', description: 'show the progress, and end when it ends' };
const ISSUER: VerbOption = {
  flags: '--issuer <url>',
  description: "issuer of the person's tokens (default: that of yours)",
};

async function roleChange([sub = '', role = '']: readonly string[], flags: KeysFlags, desk: KeysDesk): Promise<Json> {
  if (!OPERATOR_ROLES.some((known) => known === role))
    throw new KeywardError('CLI_USAGE', { detail: `roles are ${OPERATOR_ROLES.join(', ')}` });
  return { issuer: flags.issuer ?? (await desk.me()).issuer, sub, role };
}

export const ACT_VERBS: readonly ActVerb[] = [
  onKey('create', 'Make a data key before it is first needed.', 'create index/family --reason "new index"'),
  onKey(
    'rotate',
    'Put a new version in place of a key; what was sealed stays readable.',
    'rotate kek --reason "monthly" --wait',
    {
      options: [WAIT],
      job: true,
    },
  ),
  onKey('activate', 'Let a key that was made in advance protect.', 'activate kek/4 --reason "after the audit"'),
  onKey('suspend', 'Stop a key for now.', 'suspend kek/3 --reason "ticket 4711"'),
  onKey('resume', 'Let a suspended key protect again.', 'resume kek/3 --reason "ticket 4711 closed"'),
  onKey(
    'deactivate',
    'End what a key protects; what it protected still opens.',
    'deactivate tenant --reason "retired"',
  ),
  onKey(
    'compromise',
    'Mark a key as known to others: it stops at once, for good.',
    'compromise kek/3 --reason "incident 12"',
    { options: [WAIT], job: true },
  ),
  onKey('destroy', 'Destroy a key after the waiting period (takes approvals).', 'destroy kek/1 --reason "rewrapped"'),
  {
    name: 'shred',
    act: 'shred',
    summary: "Destroy every key of one patient (takes approvals): none of the patient's data opens again.",
    takes: ['<patient>'],
    example: 'keyward keys shred 8f2c --reason "erasure request 77"',
    params: async ([patient = ''], _flags, desk) => ({ patient: await scopeIn(patient, desk) }),
  },
  onKey('hold', 'Place a legal hold: what stands under it is not destroyed.', 'hold subject/UUID --reason "case 9"'),
  {
    name: 'release',
    act: 'release',
    summary: 'Release a legal hold (takes approvals).',
    takes: ['<hold>'],
    example: 'keyward keys release HOLD-ID --reason "case 9 closed"',
    params: ([hold = '']) => ({ hold }),
  },
  onKey(
    'accept-risk',
    'Let suspended or compromised keys open what they protected, for some days (takes approvals).',
    'accept-risk kek/3 --days 7 --reason "until re-encrypted"',
    {
      options: [
        {
          flags: '--days <n>',
          description: `days until it expires (default ${ACCEPTANCE_DAYS}, at most ${ACCEPTANCE_MAX_DAYS})`,
          read: wholeNumber(1, ACCEPTANCE_MAX_DAYS),
        },
      ],
      params: ([key = ''], { days = ACCEPTANCE_DAYS }) => ({ target: key, days }),
    },
  ),
  {
    name: 'rewrap',
    act: 'rewrap',
    summary: 'Wrap every data key that is under a KEK of before under the active one.',
    example: 'keyward keys rewrap --reason "after compromise" --wait',
    options: [WAIT],
    job: true,
    params: nothing,
  },
  {
    name: 'move-root',
    act: 'move-root',
    summary: 'Wrap every KEK by the root that keys.nextRoot names (takes approvals).',
    example: 'keyward keys move-root --reason "to the HSM"',
    params: nothing,
  },
  {
    name: 'grant',
    act: 'grant',
    summary: 'Give a person a role in key management (takes approvals).',
    takes: ['<sub>', '<role>'],
    example: 'keyward keys grant alice key-rotator --reason "joined the team"',
    options: [ISSUER],
    params: roleChange,
  },
  {
    name: 'revoke',
    act: 'revoke',
    summary: 'Take a role in key management from a person (takes approvals).',
    takes: ['<sub>', '<role>'],
    example: 'keyward keys revoke alice key-rotator --reason "left the team"',
    options: [ISSUER],
    params: roleChange,
  },
  {
    name: 'set-policy',
    act: 'set-policy',
    summary: 'Make a setting of key management stricter than the configuration (takes approvals).',
    takes: ['<setting>', '<value>'],
    example: 'keyward keys set-policy approvals.needed 3 --reason "audit finding 2"',
    params: ([name = '', value = '']) => ({ name, value: numberIn(value) }),
  },
];

export const QUESTION_VERBS: readonly QuestionVerb[] = [
  {
    name: 'list',
    question: 'list',
    summary: 'List KEKs, and count data keys; with --kind, list those of one kind.',
    example: 'keyward keys list --kind subject --state suspended',
    options: [
      { flags: '--kind <kind>', description: 'subject, tenant, index, store, cursor, ledger or pseudonym' },
      { flags: '--state <state>', description: 'only keys in this state' },
      { flags: '--after <id>', description: 'go on behind this key id' },
      { flags: '--limit <n>', description: 'at most so many keys', read: wholeNumber(1, 1000) },
    ],
    params: (_args, { kind, state, after, limit }) => given({ kind, state, after, limit }),
    render: renderList,
  },
  {
    name: 'show',
    question: 'show',
    summary: 'Show a key: versions, history, holds, accepted risks, destructions.',
    takes: ['<key>'],
    example: 'keyward keys show kek/3',
    params: target,
    render: renderKey,
  },
  {
    name: 'backups',
    question: 'backups',
    summary: 'List the backups of the key hierarchy that were made here.',
    example: 'keyward keys backups',
    params: nothing,
    render: renderBackups,
  },
  {
    name: 'drills',
    question: 'drills',
    summary: 'List the rehearsals of recovery and what they showed.',
    example: 'keyward keys drills',
    params: nothing,
    render: renderDrills,
  },
  {
    name: 'roles',
    question: 'roles',
    summary: 'List who has which role in key management.',
    example: 'keyward keys roles',
    params: nothing,
    render: renderRoles,
  },
  {
    name: 'jobs',
    question: 'jobs',
    summary: 'Show how far rotations, rewraps and moves are.',
    example: 'keyward keys jobs',
    params: nothing,
    render: renderJobs,
  },
  {
    name: 'stale',
    question: 'stale',
    summary: 'Tell what has to be re-encrypted after rotations and compromises.',
    example: 'keyward keys stale',
    params: nothing,
    render: renderStale,
  },
  {
    name: 'holds',
    question: 'holds',
    summary: 'List the legal holds that are in force.',
    example: 'keyward keys holds',
    params: nothing,
    render: renderHolds,
  },
  {
    name: 'destructions',
    question: 'destructions',
    summary: 'List destructions that wait, were cancelled, or are done.',
    example: 'keyward keys destructions',
    params: nothing,
    render: renderDestructions,
  },
  {
    name: 'signing-keys',
    question: 'signing-keys',
    summary: 'List the public keys that certificates are verified with.',
    example: 'keyward keys signing-keys --json > signing-keys.json',
    params: nothing,
    render: renderSigningKeys,
  },
  {
    name: 'certificate',
    question: 'certificate',
    summary: 'Print the signed certificate of a destruction.',
    takes: ['<destruction>'],
    example: 'keyward keys certificate DESTRUCTION-ID --json > certificate.json',
    params: ([id = '']) => ({ id }),
    render: (answer) => `${JSON.stringify(answer, null, 2)}\n`,
  },
  {
    name: 'policy',
    question: 'policy',
    summary: 'Show the settings of key management: as configured, as set, and what counts.',
    example: 'keyward keys policy',
    params: nothing,
    render: renderSettings,
  },
];

/** Answered by the ledger rather than by the custodian. */
export const USAGE = {
  summary: 'Tell who used a key lately, from the ledger.',
  example: 'keyward keys usage kek/1 --days 90 --as auditor',
  days: {
    flags: '--days <n>',
    description: `of the last days (default ${USAGE_DAYS})`,
    read: wholeNumber(1, MAX_DAYS),
  },
  defaultDays: USAGE_DAYS,
  render: renderUses,
} as const;

/** Patients are named by the id that the FHIR server knows, or by their scope. */
function scopeIn(patient: string, desk: KeysDesk): Promise<string> {
  if (!patient.startsWith('subject/')) return desk.scopeOf(patient);
  const ref = parseKeyRef(patient);
  return Promise.resolve('scope' in ref ? ref.scope : '');
}

function numberIn(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new KeywardError('CLI_USAGE', { detail: 'a setting is a number' });
}

const given = (members: Readonly<Record<string, string | number | undefined>>): Json =>
  Object.fromEntries(Object.entries(members).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
