/** The Key Management Plan: what stands in it follows from facts, and nothing in it becomes markup. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIFECYCLE } from '../lifecycle.ts';
import type { PlanDocument } from './document.ts';
import { type PlanFacts, readPlanFacts } from './facts.ts';
import { toHtml } from './html.ts';
import { KEY_KINDS } from './key-kinds.ts';
import { toMarkdown } from './markdown.ts';
import { keyManagementPlan } from './plan.ts';

const AT = '2026-11-21T10:00:00.000Z';
const DAY_MS = 86_400_000;

const KMS_ROOT = {
  provider: 'aws-kms',
  key: 'arn:aws:kms:x',
  hardware: true,
  exportable: false,
  fipsCertificate: '4884',
};
const APPROVERS = ['ada', 'ben'].map((sub) => ({
  issuer: 'https://id.example',
  sub,
  role: 'approver',
  counts: true,
  enrolled: true,
}));

/** As an installation answers that lacks nothing. */
const GOOD = {
  'plan-facts': {
    tenant: 'clinic',
    at: AT,
    root: KMS_ROOT,
    nextRoot: null,
    waitingMs: 7 * DAY_MS,
    mostUses: 2 ** 32,
    rotateAtUses: 3_221_225_472,
    exhaustedAtUses: 3_865_470_567,
  },
  list: {
    keks: [
      {
        ref: 'kek/1',
        state: 'deactivated',
        createdAt: '2026-05-01T00:00:00Z',
        activatedAt: '2026-05-01T00:00:00Z',
        deactivatedAt: '2026-08-01T00:00:00Z',
        uses: '1200',
      },
      {
        ref: 'kek/2',
        state: 'active',
        createdAt: '2026-08-01T00:00:00Z',
        activatedAt: '2026-08-01T00:00:00Z',
        uses: 40,
      },
    ],
    counts: [{ kind: 'subject', state: 'active', keys: 1234 }],
    keys: [{ ref: 'key/secret-to-the-plan' }],
  },
  roles: { roles: APPROVERS },
  policy: {
    settings: Object.entries({
      'approvals.needed': 2,
      'approvals.ttlHours': 24,
      'cryptoperiodDays.kek': 91,
      'cryptoperiodDays.data': 92,
      'cryptoperiodDays.root': 365,
      'cryptoperiodDays.signing': 366,
    }).map(([name, value]) => ({ name, summary: '', value })),
  },
  backups: { backups: [{ at: '2026-11-01T00:00:00Z', threshold: 2, shares: 3 }] },
  drills: { drills: [{ at: '2026-11-02T00:00:00Z', opened: true, errorCode: null }] },
  destructions: [{ state: 'waiting', reason: 'ticket of Jane Roe' }, { state: 'done' }],
  holds: [{ reason: 'case of Jane Roe' }],
};

const planOf = (changes: object = {}): PlanDocument => keyManagementPlan(readPlanFacts({ ...GOOD, ...changes }));
const gaps = (plan: PlanDocument): string => JSON.stringify(plan.sections.find(({ title }) => title === 'Gaps'));

test('[K12] the plan tells key types, periods, owners, procedures, inventory and when it is to be reviewed', () => {
  const written = toMarkdown(planOf());
  const expected = [
    'Made from the running installation on 2026-11-21. To be reviewed by 2027-11-21',
    '91 days',
    '92 days',
    '366 days',
    '| ada | https://id.example | approver | yes | yes |',
    'takes 2 approvals',
    'within 24 hours',
    'waits 7 days',
    '| kek/1 | deactivated | 2026-05-01 | 2026-05-01 | 2026-08-01 | 1,200 |',
    '| kek/2 | active | 2026-08-01 | 2026-08-01 | – | 40 |',
    '| subject | active | 1,234 |',
    'Last backup: 2026-11-01, restored with 2 of 3 shares',
    'Last drill: 2026-11-02: opened a sealed patient',
    'Legal holds in force: 1. Destructions that wait: 1.',
    '4,294,967,296',
    'Index keys are not rotated by time',
  ];
  for (const part of expected) assert.ok(written.includes(part), part);
});

test('[K12] a plan of 29 February is reviewed a year later all the same', () => {
  const leap = { ...GOOD['plan-facts'], at: '2028-02-29T10:00:00Z' };
  assert.match(toMarkdown(planOf({ 'plan-facts': leap })), /reviewed by 2029-03-01/);
});

test('[K12] reasons that people wrote, and ids of data keys, do not get into the plan', () => {
  for (const render of [toMarkdown, toHtml]) assert.doesNotMatch(render(planOf()), /Jane|secret-to-the-plan/);
  assert.doesNotMatch(JSON.stringify(planOf()), /Jane|secret-to-the-plan/);
});

test('[K12] every kind of data key that processes may have is in the plan', () => {
  const kinds = KEY_KINDS.map(({ kind }) => kind);
  for (const kind of ['subject', 'tenant', 'index', 'store', 'cursor', 'ledger', 'pseudonym', 'kek', 'root'])
    assert.ok(kinds.includes(kind), kind);
  assert.equal(new Set(kinds).size, kinds.length);
});

interface Gap {
  readonly what: string;
  readonly changes: object;
  readonly says: RegExp;
}

const withFacts = (changes: object) => ({ 'plan-facts': { ...GOOD['plan-facts'], ...changes } });
const withSetting = (name: string, value: number) => ({
  policy: {
    settings: GOOD.policy.settings.map((setting) => (setting.name === name ? { ...setting, value } : setting)),
  },
});

// biome-ignore format: a table
const GAPS: readonly Gap[] = [
  { what: 'a root that can be copied',     changes: withFacts({ root: { ...KMS_ROOT, exportable: true } }),                       says: /can be copied by whoever/ },
  { what: 'a root in software',            changes: withFacts({ root: { ...KMS_ROOT, hardware: false } }),                        says: /not in hardware/ },
  { what: 'a root without certificate',    changes: withFacts({ root: { ...KMS_ROOT, fipsCertificate: undefined } }),             says: /No certificate/ },
  { what: 'a rehearsal waiting time',      changes: withFacts({ waitingMs: 5_000 }),                                              says: /for rehearsals/ },
  { what: 'no backup',                     changes: { backups: { backups: [] } },                                                 says: /no backup/ },
  { what: 'no drill',                      changes: { drills: { drills: [] } },                                                   says: /No recovery was rehearsed/ },
  { what: 'a drill that failed',           changes: { drills: { drills: [{ at: AT, opened: false, errorCode: 'KEYS_X' }] } },     says: /No recovery was rehearsed/ },
  { what: 'a drill of two years ago',      changes: { drills: { drills: [{ at: '2024-11-02T00:00:00Z', opened: true }] } },       says: /No recovery was rehearsed/ },
  { what: 'too few enrolled approvers',    changes: { roles: { roles: APPROVERS.slice(1) } },                                     says: /Fewer approvers/ },
  { what: 'roles that conflict',           changes: { roles: { roles: [...APPROVERS, { ...APPROVERS[0], counts: false }] } },     says: /roles that conflict/ },
  { what: 'one approval',                  changes: withSetting('approvals.needed', 1),                                           says: /One approval is enough/ },
  { what: 'a compromised key',             changes: { list: { ...GOOD.list, counts: [{ kind: 'subject', state: 'compromised', keys: 1 }] } }, says: /compromised keys/ },
];

for (const { what, changes, says } of GAPS)
  test(`[K12] ${what} is a gap that the plan tells, and a good installation does not have it`, () => {
    assert.match(gaps(planOf(changes)), says);
    assert.doesNotMatch(gaps(planOf()), says);
  });

test('[K12] what falls short of any installation is told as well', () => {
  assert.match(gaps(planOf()), /OpenSSL.*JavaScript/);
});

test('[K12] an answer of another shape is refused instead of planned with', () => {
  assert.throws(() => planOf({ list: { keks: [{ ref: 'kek/1' }], counts: [] } }));
  assert.throws(() => planOf({ policy: { settings: GOOD.policy.settings.slice(1) } }));
  assert.throws(() => readPlanFacts({} satisfies Partial<PlanFacts>));
});

test('[K12] names become markup neither in HTML nor in Markdown', () => {
  const [first] = APPROVERS;
  const evil = { ...first, sub: '<img src=x onerror=alert(1)>|`*_[a](javascript:b)', issuer: '\'"&' };
  const plan = planOf({ roles: { roles: [evil] } });
  const html = toHtml(plan);
  assert.doesNotMatch(html, /<img|"&<|<script/);
  assert.match(html, /&lt;img src=x onerror=alert\(1\)&gt;/);
  const row =
    toMarkdown(plan)
      .split('\n')
      .find((line) => line.includes('onerror')) ?? '';
  assert.equal(row.match(/(?<!\\)\|/g)?.length, 6);
  assert.doesNotMatch(row, /(?<!\\)[<`*_[]/);
});

test('[K12] the HTML page fetches and runs nothing', () => {
  const html = toHtml(planOf());
  assert.match(html, /default-src 'none'/);
  assert.doesNotMatch(html, /<(script|link|img|iframe)|src=|@import|url\(/);
});

test('[K1] the states that the plan counts are those of the life cycle', () => {
  for (const state of ['active', 'deactivated', 'compromised']) assert.ok(Object.hasOwn(LIFECYCLE, state));
});
