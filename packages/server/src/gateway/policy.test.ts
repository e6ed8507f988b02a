import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KeywardError } from '../core/index.ts';
import type { Principal } from '../identity/index.ts';
import { FIELD_CLASSES } from '../phi/index.ts';
import { DEFAULT_POLICY, loadPolicy, POLICY_INTERACTIONS, type PolicyInteraction, type PolicyTerms } from './policy.ts';

const policy = loadPolicy(DEFAULT_POLICY);
const caller = (change: Partial<Principal> = {}): Principal => ({
  sub: 's',
  role: 'clinician',
  scopes: ['user/*.cruds'],
  patient: undefined,
  purpose: 'TREAT',
  client: undefined,
  issuer: 'i',
  mfa: true,
  expiresAt: 0,
  ...change,
});

function outcome(change: Partial<Principal>, interaction: PolicyInteraction = 'read', type = 'Patient'): string {
  try {
    return policy.decide(caller(change), interaction, type).rule;
  } catch (error) {
    assert.ok(error instanceof KeywardError);
    return error.code;
  }
}

const folder = mkdtempSync(join(tmpdir(), 'keyward-policy-'));
after(() => rmSync(folder, { recursive: true }));
function loading(rule: string, terms?: PolicyTerms): () => unknown {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, `version: 1\nroles:\n  clerk:\n    mfa: true\n    rules:\n      - ${rule}\n`);
  return () => loadPolicy(file, terms);
}

test('[A3] what no rule permits is denied: role, purpose, type and interaction all must fit', () => {
  const denied: [Partial<Principal>, PolicyInteraction?, string?][] = [
    [{ role: 'stranger' }],
    [{ role: 'constructor' }],
    [{ role: '__proto__' }],
    [{ role: 'auditor', purpose: 'HOPERAT' }],
    [{ role: 'admin', purpose: 'TREAT' }],
    [{ purpose: undefined }],
    [{ purpose: 'HPAYMT' }],
    [{ role: 'billing', purpose: 'TREAT' }],
    [{ role: 'billing', purpose: 'HPAYMT' }, 'update'],
    [{ role: 'billing', purpose: 'HPAYMT' }, 'read', 'Observation'],
    [{ role: 'researcher', purpose: 'HRESCH' }, 'history'],
  ];
  for (const [change, interaction, type] of denied)
    assert.equal(outcome(change, interaction, type), 'ACCESS_DENIED', JSON.stringify(change));
});

test('[A3] a permitted request names the rule that decided', () => {
  assert.equal(outcome({}), 'clinician-care');
  assert.equal(outcome({ role: 'billing', purpose: 'HPAYMT' }), 'billing-claims');
  assert.equal(outcome({ role: 'billing', purpose: 'HPAYMT' }, 'read', 'Practitioner'), 'billing-directory');
});

test('[A2] a workforce role without a second factor is sent back to sign in', () => {
  for (const role of ['clinician', 'billing', 'researcher', 'auditor', 'admin'])
    assert.equal(outcome({ role, mfa: false }), 'IDENTITY_MFA_REQUIRED');
});

test('[A4] a class that a rule does not name is neither opened nor masked', () => {
  const { open, mask } = policy.decide(caller({ role: 'billing', purpose: 'HPAYMT' }), 'read', 'Patient');
  assert.deepEqual([...open].toSorted(), ['address', 'birthDate', 'label', 'name']);
  assert.deepEqual([...mask], ['identifier']);
  assert.deepEqual([...policy.decide(caller(), 'read', 'Patient').open].toSorted(), [...FIELD_CLASSES].toSorted());
  assert.equal(policy.decide(caller({ role: 'researcher', purpose: 'HRESCH' }), 'read', 'Patient').open.size, 0);
});

test('[A3] a patient sees one record only, and without a patient in context none', () => {
  const patient = { role: 'patient', purpose: 'PATRQT', scopes: ['patient/*.rs'] };
  assert.equal(policy.decide(caller({ ...patient, patient: 'p1' }), 'read', 'Observation').patient, 'p1');
  assert.equal(outcome(patient), 'ACCESS_SCOPE');
  assert.equal(
    outcome({ scopes: ['patient/*.rs'] }),
    'ACCESS_SCOPE',
    'a clinician with patient scopes only is limited too',
  );
  assert.equal(policy.decide(caller({ scopes: ['patient/*.rs'], patient: 'p2' }), 'read', 'Patient').patient, 'p2');
});

test('[A3] the scopes of the token limit what the role would permit', () => {
  assert.equal(outcome({ scopes: [] }), 'ACCESS_SCOPE');
  assert.equal(outcome({ scopes: ['user/Observation.rs'] }), 'ACCESS_SCOPE');
  assert.equal(outcome({ scopes: ['user/Patient.r'] }, 'search'), 'ACCESS_SCOPE');
});

test('[A4] a rule that may update without seeing everything is refused when the policy is loaded', () => {
  const rule = (open: string) =>
    `{ id: r, purposes: [TREAT], types: [Patient], interactions: [read, update], open: ${open} }`;
  assert.throws(loading(rule('[name]')), { code: 'CONFIG_INVALID' });
  assert.doesNotThrow(loading(rule("['*']")));
});

test('[A4] who may update, but is shown only a part by every rule, is refused where bodies do not say that they are a part', () => {
  const terms = { isType: () => true, interactions: POLICY_INTERACTIONS, compartments: false, tagsParts: false };
  const rule = (interactions: string, open: string, purposes = '[TREAT]') =>
    `{ id: ${interactions.replace(/\W+/g, '')}, purposes: ${purposes}, types: ['crm:Member'], interactions: ${interactions}, open: ${open} }`;
  const all = (...rules: string[]) => loading(rules.join('\n      - '), terms);
  const update = rule('[update]', "['*']");
  assert.throws(all(rule('[search]', '[name]'), update), { code: 'CONFIG_INVALID' });
  assert.throws(all(rule('[read, search]', '[name]'), rule('[update]', "['*']", '[TREAT, HPAYMT]')), {
    code: 'CONFIG_INVALID',
  });
  assert.doesNotThrow(all(rule('[search]', '[name]'), rule('[read]', "['*']"), update));
  assert.doesNotThrow(all(rule('[search]', '[name]', '[HPAYMT]'), update));
  assert.doesNotThrow(all(update));
});

test("[A3] a patient may look into the directory, which is nobody's record", () => {
  const patient = caller({ role: 'patient', purpose: 'PATRQT', scopes: ['patient/*.rs'], patient: 'p1' });
  const { rule, patient: limitedTo } = policy.decide(patient, 'read', 'Practitioner');
  assert.deepEqual([rule, limitedTo], ['patient-directory', undefined]);
});

test('[A3] a patient scope looks up directory entries unlimited, and is limited in all that it does to them', () => {
  const limited = caller({ scopes: ['patient/*.cruds'], patient: 'p1' });
  const limitOf = (interaction: PolicyInteraction) => policy.decide(limited, interaction, 'Organization').patient;
  for (const interaction of ['read', 'vread', 'search'] as const) assert.equal(limitOf(interaction), undefined);
  for (const interaction of ['history', 'create', 'update', 'delete'] as const)
    assert.equal(limitOf(interaction), 'p1');
});

test('[A3] a rule that can never decide is refused when the policy is loaded', () => {
  const rule = (id: string, types: string) =>
    `{ id: ${id}, purposes: [TREAT], types: ${types}, interactions: [read], open: [name] }`;
  assert.throws(loading(`${rule('all', "['*']")}\n      - ${rule('one', '[Patient]')}`), { code: 'CONFIG_INVALID' });
  assert.doesNotThrow(loading(`${rule('one', '[Patient]')}\n      - ${rule('all', "['*']")}`));
});

test('[A3] the version of a policy changes with its content', () => {
  const rule = (open: string) => `{ id: r, purposes: [TREAT], types: [Patient], interactions: [read], open: ${open} }`;
  const version = (open: string) => (loading(rule(open))() as { version: string }).version;
  assert.equal(version('[name]'), version('[name]'));
  assert.notEqual(version('[name]'), version('[label]'));
});

test('[A3] a policy with unknown types, classes, interactions or members is refused', () => {
  const rule = { id: 'r', purposes: '[TREAT]', types: '[Patient]', interactions: '[read]', open: '[name]' };
  const text = (change: Partial<typeof rule> & { extra?: string }) =>
    `{ ${Object.entries({ ...rule, ...change })
      .map(([name, value]) => `${name}: ${value}`)
      .join(', ')} }`;
  assert.doesNotThrow(loading(text({})));
  for (const change of [
    { types: '[Patiemt]' },
    { open: '[nmae]' },
    { interactions: '[reed]' },
    { purposes: '[]' },
    { purposes: '[TREET]' },
    { extra: '1' },
  ]) {
    assert.throws(loading(text(change)), { code: 'CONFIG_INVALID' }, JSON.stringify(change));
  }
});

test('[A3] an export needs a rule that names it and a system scope', () => {
  const system = { scopes: ['system/*.rs'] };
  assert.equal(outcome(system, 'export'), 'clinician-care');
  assert.equal(outcome({ role: 'researcher', purpose: 'HRESCH', ...system }, 'export'), 'researcher-deidentified');
  assert.equal(outcome({ scopes: ['user/*.cruds'] }, 'export'), 'ACCESS_SCOPE');
  assert.equal(outcome({ role: 'billing', purpose: 'HPAYMT', ...system }, 'export'), 'ACCESS_DENIED');
  assert.equal(outcome({ role: 'patient', purpose: 'PATRQT', patient: 'p1', ...system }, 'export'), 'ACCESS_DENIED');
});

test('[A3] a rule that exports one compartment is refused when the policy is loaded', () => {
  const rule = (more: string) =>
    `{ id: r, purposes: [PATRQT], types: [Patient], interactions: [read, export], open: [name]${more} }`;
  assert.throws(loading(rule(', compartment: patient')), { code: 'CONFIG_INVALID' });
  assert.doesNotThrow(loading(rule('')));
});

test('[A4] who may open a class of a type is answered by the rules that let read it', () => {
  assert.deepEqual(policy.openedBy('Patient', 'name'), ['clinician', 'billing', 'partner', 'patient']);
  assert.deepEqual(policy.openedBy('Patient', 'narrative'), ['clinician', 'patient']);
  assert.deepEqual(policy.openedBy('Observation', 'name'), ['clinician', 'patient']);
});
