/** Which sealed records stand under keys that protect no more: those had a successor since, by rotation or after a compromise. */
import { tokenKeyId } from '@keyward/sdk/seal';
import { planOpen } from '../../phi/index.ts';
import { type Exchange, type Finding, known } from '../exchange.ts';
import { keysForSeals } from '../key-calls.ts';
import { protectSpec } from '../seal-context.ts';

interface NamedKeys {
  readonly finding: Finding;
  readonly scope: string;
  readonly keyIds: ReadonlySet<string>;
}

/**
 * Of records that were proven: the scope of any other was written by somebody, and asking for its key would make one. Keys past
 * their time get their successors by being asked for.
 */
export async function underEndedKeys(exchange: Exchange, proven: readonly Finding[]): Promise<Finding[]> {
  const records = proven.map((finding) => namedKeys(exchange, finding));
  const keyOf = await keysForSeals(
    exchange,
    records.map(({ scope }) => [protectSpec(scope), 1] as const),
  );
  return records.flatMap(({ finding, scope, keyIds }) => {
    const active = keyOf(protectSpec(scope)).id;
    return [...keyIds].every((id) => id === active) ? [] : [finding];
  });
}

function namedKeys({ gateway }: Exchange, finding: Finding): NamedKeys {
  const { root, sites } = planOpen(finding.resource, gateway.catalogue);
  const { scope, proof } = known(root, 'root');
  return { finding, scope, keyIds: new Set([proof, ...sites.map(({ token }) => token)].map(tokenKeyId)) };
}
