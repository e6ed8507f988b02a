import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyInteraction } from './policy.ts';
import { scopeGrant } from './scopes.ts';

const CASES: [scopes: string, interaction: PolicyInteraction, type: string, grant: string][] = [
  ['user/*.cruds', 'read', 'Patient', 'user'],
  ['user/Patient.r', 'read', 'Patient', 'user'],
  ['user/Patient.r', 'vread', 'Patient', 'user'],
  ['user/Patient.r', 'search', 'Patient', 'none'],
  ['user/Patient.rs', 'search', 'Patient', 'user'],
  ['user/Patient.cud', 'read', 'Patient', 'none'],
  ['system/*.rs', 'search', 'Observation', 'user'],
  ['patient/*.rs', 'read', 'Patient', 'patient'],
  ['patient/*.rs user/Patient.r', 'read', 'Patient', 'user'],
  ['patient/*.rs user/Patient.r', 'read', 'Observation', 'patient'],
  ['user/Patient.read', 'search', 'Patient', 'user'],
  ['user/Patient.read', 'create', 'Patient', 'none'],
  ['user/Patient.write', 'delete', 'Patient', 'user'],
  ['user/*.*', 'create', 'Claim', 'user'],
  // an export takes system scopes, to read and to search
  ['system/*.rs', 'export', 'Patient', 'user'],
  ['system/Patient.r system/*.s', 'export', 'Patient', 'user'],
  ['system/Patient.read', 'export', 'Patient', 'user'],
  ['system/*.r', 'export', 'Patient', 'none'],
  ['system/Patient.rs', 'export', 'Observation', 'none'],
  ['system/*.r user/*.s', 'export', 'Patient', 'none'],
  ['user/*.cruds', 'export', 'Patient', 'none'],
  ['patient/*.cruds', 'export', 'Patient', 'none'],
  // what the grammar does not know grants nothing
  ['user/Patient.sr', 'read', 'Patient', 'none'],
  ['user/Patient.', 'read', 'Patient', 'none'],
  ['user/Patient.rs?category=laboratory', 'read', 'Patient', 'none'],
  ['users/Patient.rs', 'read', 'Patient', 'none'],
  ['user/patient.rs', 'read', 'Patient', 'none'],
  ['openid fhirUser launch/patient', 'read', 'Patient', 'none'],
  ['', 'read', 'Patient', 'none'],
];

for (const [scopes, interaction, type, grant] of CASES) {
  test(`[A3] "${scopes}" grants ${interaction} of ${type}: ${grant}`, () => {
    assert.equal(scopeGrant(scopes.split(' ').filter(Boolean), interaction, type), grant);
  });
}
