/** Who manages keys at first, and how their tokens are verified inside the custodian. */
import type { Config } from '../config/index.ts';
import { DEVELOPMENT_ISSUER } from '../identity/index.ts';
import type { ManagementInputs } from '../keys/index.ts';
import { openVerifier } from './parts.ts';
import type { ProcessContext } from './process.ts';

type FirstOperators = ManagementInputs['firstOperators'];

/** Enough people to rehearse dual control with tokens of the development issuer: `keyward keys … --as approver-1`. */
const DEVELOPMENT_OPERATORS: FirstOperators = [
  { issuer: DEVELOPMENT_ISSUER, sub: 'operator', roles: ['key-creator', 'key-rotator', 'key-destroyer'] },
  ...['approver-1', 'approver-2', 'approver-3'].map((sub): FirstOperators[number] => ({
    issuer: DEVELOPMENT_ISSUER,
    sub,
    roles: ['approver'],
  })),
  { issuer: DEVELOPMENT_ISSUER, sub: 'auditor', roles: ['auditor'] },
];

function firstOperators({ keys, identity }: Config): FirstOperators {
  if (keys.operators.length > 0 || identity.issuers.length > 0) return keys.operators;
  return DEVELOPMENT_OPERATORS;
}

/** Whoever goes from a trial to an issuer of his own leaves the roles of the trial behind. */
const issuersOf = ({ identity: { issuers } }: Config): readonly string[] =>
  issuers.length === 0 ? [DEVELOPMENT_ISSUER] : issuers.map(({ issuer }) => issuer);

/** Address that tokens of the development issuer count from. That the operator himself is on this host, the admin API has checked. */
const THIS_HOST = '127.0.0.1';

export function managementInputs(context: ProcessContext): ManagementInputs {
  const verifier = openVerifier(context);
  return {
    verifyToken: (authorization) => verifier.verify(authorization, THIS_HOST),
    approvals: context.config.keys.approvals,
    firstOperators: firstOperators(context.config),
    issuers: issuersOf(context.config),
  };
}
