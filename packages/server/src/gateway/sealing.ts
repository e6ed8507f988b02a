/** Seals what goes upstream and opens what a decision permits; one key call and one engine call for all resources of a request. */
import { blindIndex, type DataKey, tokenKeyId } from '@keyward/sdk/seal';
import type { KeySpec } from '@keyward/sdk/client';
import { asKeywardError, KeywardError, newUuid } from '../core/index.ts';
import {
  type Disclosure,
  type FhirResource,
  type FieldClass,
  holdsUnsealed,
  type IndexTerm,
  type OpenPlan,
  planOpen,
  planSeal,
  type RootSeal,
  type SealPlan,
} from '../phi/index.ts';
import type { Exchange, Finding } from './exchange.ts';
import { masked } from './mask.ts';
import { contextOf, keyUse, PROOF_SITE, protectSpec, TENANT_SCOPE } from './seal-context.ts';

export interface ToSeal {
  readonly resource: FhirResource;
  readonly scope: string;
}

/** The sealed copies, in order. A resource without identifying elements comes back as it is. */
export async function sealResources(exchange: Exchange, items: readonly ToSeal[]): Promise<FhirResource[]> {
  const { tenant, engine, policy } = exchange.gateway;
  const plans = items.map(({ resource }) => planSeal(resource));
  const keyOf = await keysToProtect(exchange, items, plans);
  const roots = items.map(({ scope }): RootSeal => ({ objectId: newUuid(), scope, policy: policy.version }));
  const tokens = engine.sealMany(
    plans.flatMap((plan, index) => {
      const { resource, scope } = items[index] as ToSeal;
      const root = roots[index] as RootSeal;
      const contextAt = (site: Parameters<typeof contextOf>[3]) => contextOf(tenant, resource.resourceType, root, site);
      const fields = plan.sites.map((site) => ({ context: contextAt(site), value: site.value }));
      const proof = isPatient(resource) ? [{ context: contextAt(PROOF_SITE), value: root.policy }] : [];
      const key = keyOf(protectSpec(scope));
      return [...fields, ...proof].map((item) => ({ key, ...item }));
    }),
  );
  let next = 0;
  return plans.map((plan, index) => {
    const sealed = plan.sites.map(({ terms }) => ({
      token: tokens[next++] as string,
      indexes: terms.map((term) => indexOf(keyOf({ kind: 'index', indexClass: term.indexClass }), term) ?? ''),
    }));
    const proof = isPatient((items[index] as ToSeal).resource) ? { proof: tokens[next++] as string } : {};
    return plan.apply(sealed, { ...(roots[index] as RootSeal), ...proof });
  });
}

const isPatient = ({ resourceType }: FhirResource): boolean => resourceType === 'Patient';

async function keysToProtect(
  exchange: Exchange,
  items: readonly ToSeal[],
  plans: readonly SealPlan[],
): Promise<(spec: KeySpec) => DataKey> {
  const specs = new Map<string, KeySpec>();
  const add = (spec: KeySpec) => specs.set(JSON.stringify(spec), spec);
  plans.forEach(({ sites }, index) => {
    const { resource, scope } = items[index] as ToSeal;
    if (sites.length > 0 || isPatient(resource)) add(protectSpec(scope));
    for (const { terms } of sites) for (const { indexClass } of terms) add({ kind: 'index', indexClass });
  });
  const keys = specs.size === 0 ? [] : await exchange.gateway.keys.protect([...specs.values()], keyUse(exchange));
  const byName = new Map([...specs.keys()].map((name, index) => [name, keys[index] as DataKey]));
  return (spec) => byName.get(JSON.stringify(spec)) as DataKey;
}

/** Undefined when nothing is left of the text after normalising. */
function indexOf(key: DataKey, { indexClass, system, text }: IndexTerm): string | undefined {
  try {
    return blindIndex(key, indexClass, system, text);
  } catch (cause) {
    // Control characters in a system would make two different inputs look like one.
    throw new KeywardError('FHIR_PARAM_INVALID', { detail: 'An identifier system has control characters.', cause });
  }
}

/** Blind indexes of one value under several classes, for a search. */
export async function blindTerms(exchange: Exchange, terms: readonly IndexTerm[]): Promise<(string | undefined)[]> {
  const classes = [...new Set(terms.map(({ indexClass }) => indexClass))];
  if (classes.length === 0) return [];
  const keys = await exchange.gateway.keys.protect(
    classes.map((indexClass) => ({ kind: 'index', indexClass })),
    keyUse(exchange),
  );
  return terms.map((term) => indexOf(keys[classes.indexOf(term.indexClass)] as DataKey, term));
}

/** What is about to be opened of the resources that came back; nothing has been opened yet. */
export interface Opening {
  readonly keyIds: readonly string[];
  readonly scopes: readonly string[];
  readonly classes: readonly FieldClass[];
  /** Opens, after the disclosure was recorded. @throws KeywardError `SEAL_NOT_AUTHENTIC`. */
  open(): Promise<void>;
}

interface Prepared {
  readonly finding: Finding;
  readonly plan: OpenPlan;
  /** Per site: whether its value is needed. */
  readonly wanted: readonly ('open' | 'mask' | 'withhold')[];
}

export function prepareOpening(exchange: Exchange, findings: readonly Finding[]): Opening {
  const prepared = findings.map(prepare);
  const needed = prepared.flatMap(({ finding, plan, wanted }) =>
    plan.sites.flatMap((site, index) =>
      wanted[index] === 'withhold' ? [] : [{ finding, plan, site, keyId: keyIdOf(site.token) }],
    ),
  );
  const keyIds = [...new Set(needed.map(({ keyId }) => keyId))];
  return {
    keyIds,
    scopes: [
      ...new Set(
        prepared.flatMap(({ plan }) => (plan.root && plan.root.scope !== TENANT_SCOPE ? [plan.root.scope] : [])),
      ),
    ],
    classes: [...new Set(needed.map(({ site }) => site.fieldClass))],
    async open() {
      const { engine, tenant } = exchange.gateway;
      const opened = keyIds.length === 0 ? [] : await openKeys(exchange, keyIds);
      const keyById = new Map(keyIds.map((id, index) => [id, opened[index] as DataKey]));
      const items = needed.map(({ finding, plan, site, keyId }) => ({
        key: keyById.get(keyId) as DataKey,
        context: contextOf(tenant, finding.resource.resourceType, plan.root as RootSeal, site),
        token: site.token,
      }));
      const values = asSealFailure(() => engine.openMany(items));
      let next = 0;
      for (const { finding, plan, wanted } of prepared) {
        finding.opened = plan.apply(
          wanted.map((want): Disclosure => {
            if (want === 'withhold') return { kind: 'withhold' };
            const value = values[next++] ?? null;
            return want === 'open' ? { kind: 'open', value } : masked(value);
          }),
        );
      }
    },
  };
}

function prepare(finding: Finding): Prepared {
  const plan = planOpen(finding.resource);
  // Plaintext where a sealed value must be was not written through this gateway: it is not shown as if it were.
  if (holdsUnsealed(finding.resource)) throw new KeywardError('GATEWAY_UPSTREAM_UNSEALED');
  const { open, mask } = finding.decision;
  const wanted = plan.sites.map(({ fieldClass }) =>
    open.has(fieldClass) ? 'open' : mask.has(fieldClass) ? 'mask' : 'withhold',
  );
  return { finding, plan, wanted };
}

/** A token that names a key nobody holds is a token somebody made. */
async function openKeys(exchange: Exchange, keyIds: readonly string[]): Promise<DataKey[]> {
  try {
    return await exchange.gateway.keys.process(keyIds, keyUse(exchange));
  } catch (thrown) {
    const error = asKeywardError(thrown);
    throw TAMPERED.has(error.code) ? new KeywardError('SEAL_NOT_AUTHENTIC', { cause: thrown }) : error;
  }
}

const TAMPERED: ReadonlySet<string> = new Set(['KEYS_UNKNOWN_KEY', 'KEYS_FORBIDDEN']);

const keyIdOf = (token: string): string => asSealFailure(() => tokenKeyId(token));

/** Every way in which a sealed value can fail looks alike from outside. */
function asSealFailure<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new KeywardError('SEAL_NOT_AUTHENTIC', { cause });
  }
}
