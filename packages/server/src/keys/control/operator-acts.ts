/** What operators do about operators: grant and revoke roles, enrol the keys they approve with, see who may what. */
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import { OPERATOR_ROLES, type Person } from '../operators.ts';
import { readPublicKey } from '../public-keys.ts';
import type { Act, Question } from './act.ts';
import type { ApproverKeys } from './approver-keys.ts';
import type { People } from './people.ts';
import { isEnrolment } from './request-terms.ts';

export interface OperatorActsOptions {
  readonly tenant: string;
  readonly people: People;
  readonly approverKeys: ApproverKeys;
  /** Approvals that a request takes. */
  readonly needed: () => Promise<number>;
}

/** As in a token (RFC 7519: StringOrURI); bounded, since it goes into the ledger. */
const issuer = z.string().min(1).max(2048);
const sub = z.string().regex(/^[\x21-\x7e]{1,256}$/);
const roleChange = z.strictObject({ issuer, sub, role: z.enum(OPERATOR_ROLES) });
type RoleChange = z.infer<typeof roleChange>;

/** Raw Ed25519 keys have 32 bytes, signatures 64 (RFC 8032). */
const enrolment = z.strictObject({
  publicKey: z
    .string()
    .regex(/^[\w-]{43}$/)
    .refine((text) => readPublicKey('ed25519', text) !== undefined, 'no key of "keyward keys enroll"'),
  proof: z.string().regex(/^[\w-]{86}$/),
});
const reEnrolment = z.strictObject({ issuer, sub, ...enrolment.shape });
const nothing = z.strictObject({});

const EVERYBODY = OPERATOR_ROLES;
const nameOf = ({ sub: name }: Person): string => `Operator/${name}`;

export function operatorActs(options: OperatorActsOptions): Act[] {
  return [grantAct(options), revokeAct(options), enrolAct(options), reEnrolAct(options)] as Act[];
}

const grantAct = ({ people }: OperatorActsOptions): Act<RoleChange> => ({
  name: 'grant',
  summary: 'Give a person a role in key management.',
  role: ['key-creator', 'approver'],
  dual: true,
  repeatable: true,
  params: roleChange,
  resources: (params) => [nameOf(params)],
  async run({ role, ...person }, { by }) {
    await people.grant(person, role, by);
    return { ...person, role };
  },
});

const revokeAct = ({ people, needed }: OperatorActsOptions): Act<RoleChange> => ({
  name: 'revoke',
  summary: 'Take a role in key management from a person.',
  role: ['key-creator', 'approver'],
  dual: true,
  params: roleChange,
  resources: (params) => [nameOf(params)],
  async run({ role, ...person }) {
    await people.revoke(person, role, await needed());
    return { ...person, role };
  },
});

const enrolAct = ({ tenant, approverKeys }: OperatorActsOptions): Act<z.infer<typeof enrolment>> => ({
  name: 'enroll',
  summary: 'Register the public key that your approvals are signed with.',
  role: 'approver',
  dual: false,
  params: enrolment,
  resources: () => [],
  async run(params, { by }) {
    await approverKeys.enrol(by, requireProof(tenant, by, params));
    return { issuer: by.issuer, sub: by.sub, publicKey: params.publicKey };
  },
});

const reEnrolAct = ({ tenant, approverKeys }: OperatorActsOptions): Act<z.infer<typeof reEnrolment>> => ({
  name: 're-enroll',
  summary: 'Put another public key in the place of the one that a person signs approvals with.',
  role: 'approver',
  dual: true,
  repeatable: true,
  params: reEnrolment,
  resources: (params) => [nameOf(params)],
  async run({ issuer: of, sub: name, ...key }) {
    const person = { issuer: of, sub: name };
    await approverKeys.replace(person, requireProof(tenant, person, key));
    return { ...person, publicKey: key.publicKey };
  },
});

function requireProof(tenant: string, person: Person, { publicKey, proof }: z.infer<typeof enrolment>): Buffer {
  const key = Buffer.from(publicKey, 'base64url');
  if (!isEnrolment(key, tenant, person, Buffer.from(proof, 'base64url')))
    throw new KeywardError('KEYS_ENROLMENT_REFUSED', { detail: 'It is not signed with its own private key.' });
  return key;
}

export function operatorQuestions({ tenant, people, approverKeys }: OperatorActsOptions): Question[] {
  const me: Question<z.infer<typeof nothing>> = {
    name: 'me',
    summary: 'Tell who the custodian takes you for, and whether you have enrolled a key.',
    roles: EVERYBODY,
    params: nothing,
    resources: () => [],
    async answer(_params, { by: { issuer: of, sub: name, roles: usable } }) {
      const enrolled = (await approverKeys.of({ issuer: of, sub: name })) !== undefined;
      return { tenant, issuer: of, sub: name, roles: usable, enrolled };
    },
  };
  const roles: Question<z.infer<typeof nothing>> = {
    name: 'roles',
    summary: 'Tell who has which role in key management, and which do not count together.',
    roles: EVERYBODY,
    params: nothing,
    resources: () => [],
    answer: () => describePeople(people, approverKeys),
  };
  return [me, roles] as Question[];
}

async function describePeople(people: People, approverKeys: ApproverKeys) {
  const rows = await people.list();
  const described = rows.map(async ({ issuer: of, sub: name, role, grantedBy, grantedAt }) => {
    const person = { issuer: of, sub: name };
    const { roles } = await people.rolesOf(person);
    const enrolled = (await approverKeys.of(person)) !== undefined;
    return { ...person, role, counts: roles.some((each) => each === role), enrolled, grantedBy, grantedAt };
  });
  return { roles: await Promise.all(described) };
}
