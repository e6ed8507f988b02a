/** Step 6: nothing identifying stands in the URL; from a form it becomes a blind index before it goes upstream. */
import { blindIndex } from '@keyward/sdk/seal';
import { KeywardError } from '../../../core/index.ts';
import { holdsMark, type QueryRule } from '../../../phi/index.ts';
import { known } from '../../exchange.ts';
import { keysToProtect } from '../../key-calls.ts';
import type { ApiExchange } from '../exchange.ts';
import { decide } from './authorise.ts';

const MAX_PARAMETERS = 50;

export async function planQuery(exchange: ApiExchange): Promise<void> {
  const { query, form, asked } = exchange;
  const { operation, pathValues } = known(asked, 'operation');
  const given = [...(form ?? query)];
  if (given.length > MAX_PARAMETERS) throw new KeywardError('API_PARAM_UNSUPPORTED');
  const values: Record<string, string | string[]> = { ...pathValues };
  const rules = given.map(([name, value]) => {
    const rule = operation.query.get(name);
    if (!rule || (Object.hasOwn(values, name) && !rule.repeats)) throw new KeywardError('API_PARAM_UNSUPPORTED');
    assertPermitted(exchange, rule, operation.searchedObjects.get(name) ?? new Set());
    values[name] = rule.repeats ? [...((values[name] as string[] | undefined) ?? []), value] : value;
    return { name, value, rule };
  });
  const fault = operation.checkParameters(values);
  if (fault !== undefined) throw new KeywardError('API_PARAM_INVALID', { detail: `${fault}.` });
  assertNoMarks([...Object.values(pathValues), ...rules.flatMap(({ rule, value }) => (rule.phi ? [] : [value]))]);
  const blinded = await Promise.all(
    rules.map(
      async ({ name, value, rule }): Promise<[string, string]> => [name, await upstreamValue(exchange, rule, value)],
    ),
  );
  exchange.upstreamQuery = new URLSearchParams(blinded).toString();
}

/** The hits would tell, so who may not open a class may not search by it. */
function assertPermitted(exchange: ApiExchange, { phi }: QueryRule, objects: ReadonlySet<string>): void {
  if (!phi) return;
  if (!exchange.form) throw new KeywardError('API_PHI_IN_URL');
  const inner = [...objects].map((object) => decide(exchange, 'search', `${exchange.api.name}:${object}`));
  if ([known(exchange.decision, 'decision'), ...inner].some(({ open }) => !open.has(phi.fieldClass)))
    throw new KeywardError('ACCESS_DENIED');
}

/** A client that has seen an index must not be able to look for it. */
function assertNoMarks(values: readonly string[]): void {
  if (values.some(holdsMark)) throw new KeywardError('API_RESERVED_VALUE', { detail: 'A parameter.' });
}

async function upstreamValue(exchange: ApiExchange, { phi }: QueryRule, value: string): Promise<string> {
  if (!phi) return value;
  const { indexClass, system } = phi.index;
  const [key] = await keysToProtect(exchange, [{ kind: 'index', indexClass }]);
  const index = blindIndex(known(key, 'key'), indexClass, system, value);
  if (index === undefined) throw new KeywardError('API_PARAM_INVALID', { detail: 'Nothing is left to search by.' });
  return index;
}
