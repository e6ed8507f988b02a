/** Seals what goes upstream and opens what a decision permits; one key call and one engine call for all resources of a request. */
import { blindIndex, type DataKey, tokenKeyId } from '@keyward/sdk/seal';
import type { KeySpec } from '@keyward/sdk/client';
import { KeywardError, newUuid } from '../core/index.ts';
import {
  type Disclosure,
  type FhirResource,
  type FieldClass,
  holdsUnsealed,
  type IndexTerm,
  type OpenPlan,
  type OpenSite,
  planOpen,
  type PlainPlan,
  planPlain,
  planSeal,
  proofText,
  type RootSeal,
  type SealPlan,
} from '../phi/index.ts';
import type { Exchange, Finding, Gateway } from './exchange.ts';
import { masked } from './mask.ts';
import type { Decision } from './policy.ts';
import { keysForSeals, keysToOpen } from './key-calls.ts';
import { contextOf, proofSite, protectSpec, TENANT_SCOPE } from './seal-context.ts';

export interface ToSeal {
  readonly resource: FhirResource;
  readonly scope: string;
}

/** The sealed copies, in order. A resource that needs no seal comes back as it is. */
export async function sealResources(exchange: Exchange, items: readonly ToSeal[]): Promise<FhirResource[]> {
  const { tenant, engine, policy, catalogue, clock } = exchange.gateway;
  const plans = items.map(({ resource }) => planSeal(resource, catalogue));
  const keyOf = await keysOfPlans(exchange, items, plans);
  const rules = `${policy.version}.${catalogue.version}`;
  const records = items.map(({ resource: { resourceType }, scope }, index) => {
    const root = { objectId: newUuid(), scope, policy: rules };
    const plan = plans[index] as SealPlan;
    const key = plan.hasRoot ? keyOf(protectSpec(scope)) : undefined;
    const at = (site: Site) => ({ key: key as DataKey, context: contextOf(tenant, resourceType, root, site) });
    return { plan, root, at, type: resourceType };
  });
  const tokens = engine.sealMany(
    records.flatMap(({ plan, at }) => plan.sites.map((site) => ({ ...at(site), value: site.value }))),
  );
  let next = 0;
  const sealed = records.map(({ plan }) => plan.sites.map((site) => ({ ...site, token: tokens[next++] as string })));
  const proofs = engine.sealMany(
    records.flatMap(({ plan, root, at, type }, index) =>
      plan.hasRoot ? [{ ...at(proofSite(type)), value: proofText(root, sealed[index] ?? []) }] : [],
    ),
  );
  const now = clock.now();
  let nextProof = 0;
  return records.map(({ plan, root }, index) => {
    const withIndexes = (sealed[index] ?? []).map(({ token, terms }) => ({
      token,
      indexes: terms.map((term) => indexOf(keyOf({ kind: 'index', indexClass: term.indexClass }), term) ?? ''),
    }));
    const proof = plan.hasRoot ? (proofs[nextProof++] as string) : '';
    return plan.apply(withIndexes, { ...root, proof }, now);
  });
}

type Site = Parameters<typeof contextOf>[3];

/** Each site is sealed, and the proof of its record; each term becomes an index. */
function keysOfPlans(
  exchange: Exchange,
  items: readonly ToSeal[],
  plans: readonly SealPlan[],
): Promise<(spec: KeySpec) => DataKey> {
  const counts = plans.flatMap(({ sites, hasRoot }, index): (readonly [KeySpec, number])[] => [
    ...(hasRoot ? [[protectSpec((items[index] as ToSeal).scope), sites.length + 1] as const] : []),
    ...sites.flatMap(({ terms }) => terms.map(({ indexClass }) => [{ kind: 'index', indexClass }, 1] as const)),
  ]);
  return keysForSeals(exchange, counts);
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
  const specOf = ({ indexClass }: IndexTerm): KeySpec => ({ kind: 'index', indexClass });
  const keyOf = await keysForSeals(
    exchange,
    terms.map((term) => [specOf(term), 1] as const),
  );
  return terms.map((term) => indexOf(keyOf(specOf(term)), term));
}

/** What is about to be opened of the resources that came back; nothing has been opened yet. */
export interface Opening {
  readonly keyIds: readonly string[];
  readonly scopes: readonly string[];
  readonly classes: readonly FieldClass[];
  /** Opens, after the disclosure was recorded. @throws KeywardError `SEAL_NOT_AUTHENTIC`. */
  readonly open: () => Promise<void>;
}

interface Prepared {
  readonly finding: Finding;
  readonly plan: OpenPlan;
  /** The whole record as it came, for its proof; undefined where nothing may be opened or nothing is sealed. */
  readonly proved: Proved | undefined;
  /** Instead of the plan, where the upstream holds the record in plaintext. */
  readonly plain: PlainPlan | undefined;
  /** Per site: whether its value is needed. */
  readonly wanted: readonly ('open' | 'mask' | 'withhold')[];
}

interface Proved {
  readonly root: RootSeal;
  readonly sites: readonly OpenSite[];
}

export function prepareOpening(exchange: Exchange, findings: readonly Finding[]): Opening {
  const prepared = findings.map((finding) => prepare(finding, exchange.gateway));
  const fields = prepared.flatMap(({ finding, plan, wanted }) =>
    plan.sites.flatMap((site, index) =>
      wanted[index] === 'withhold' ? [] : [tokenToOpen(finding, plan.root as RootSeal, site)],
    ),
  );
  const proofs = prepared.flatMap(({ finding, proved }) => (proved ? [proofToOpen(finding, proved)] : []));
  const needed = [...fields, ...proofs];
  const keyIds = [...new Set(needed.map(({ keyId }) => keyId))];
  return {
    keyIds,
    scopes: [
      ...new Set(
        prepared.flatMap(({ plan }) => (plan.root && plan.root.scope !== TENANT_SCOPE ? [plan.root.scope] : [])),
      ),
    ],
    classes: [...new Set(prepared.flatMap(shownClasses))],
    async open() {
      const { engine, tenant } = exchange.gateway;
      const named = needed.map(({ keyId, root: { scope } }) => ({ keyId, scope }));
      const keyById = await keysToOpen(exchange, named);
      const items = needed.map(({ type, root, site, keyId }) => ({
        key: keyById.get(keyId) as DataKey,
        context: contextOf(tenant, type, root, site),
        token: site.token,
      }));
      const values = asSealFailure(() => engine.openMany(items));
      const isProved = proofs.every(({ says }, index) => says === values[fields.length + index]);
      if (!isProved) throw new KeywardError('SEAL_NOT_AUTHENTIC');
      let next = 0;
      for (const { finding, plan, plain, wanted } of prepared) {
        finding.opened = (plain ?? plan).apply(
          wanted.map((want, index): Disclosure => {
            if (want === 'withhold') return { kind: 'withhold' };
            const value = (plain ? plain.sites[index]?.value : values[next++]) ?? null;
            return want === 'open' ? { kind: 'open', value } : masked(value);
          }),
        );
      }
    },
  };
}

function tokenToOpen({ resource }: Finding, root: RootSeal, site: Site & { readonly token: string }) {
  return { type: resource.resourceType, root, site, keyId: keyIdOf(site.token) };
}

function proofToOpen(finding: Finding, { root, sites }: Proved) {
  const site = { ...proofSite(finding.resource.resourceType), token: root.proof };
  return { ...tokenToOpen(finding, root, site), says: proofText(root, sites) };
}

/** Where others may be spoken of, too. */
const NOTHING: Pick<Decision, 'open' | 'mask'> = { open: new Set(), mask: new Set() };

function prepare(finding: Finding, { catalogue, existingData, clock, subjects }: Gateway): Prepared {
  const { resource, part = resource, decision } = finding;
  const plan = planOpen(part, catalogue);
  const isPlain = holdsUnsealed(resource, catalogue);
  // Plaintext where a sealed value must be was not written through this gateway: it is not shown as if it were.
  if (isPlain && existingData === 'refuse') throw new KeywardError('GATEWAY_UPSTREAM_UNSEALED');
  // Neither is a Patient of which we know that it was sealed.
  const wasSealed = resource.resourceType === 'Patient' && subjects.recall(resource.id ?? '') !== undefined;
  if (isPlain && existingData === 'backfill' && wasSealed) throw new KeywardError('SEAL_NOT_AUTHENTIC');
  const plain = isPlain ? planPlain(part, clock.now(), catalogue) : undefined;
  const { open, mask } = decision.patient === undefined || finding.own ? decision : NOTHING;
  // Also where nothing was found that may be opened: it may have been taken away.
  const isRead = open.size + mask.size > 0;
  const whole = part === resource || !isRead ? plan : planOpen(resource, catalogue);
  const proved = isRead && whole.root ? { root: whole.root, sites: whole.sites } : undefined;
  const wanted = (plain ?? plan).sites.map(({ fieldClass }) =>
    open.has(fieldClass) ? 'open' : mask.has(fieldClass) ? 'mask' : 'withhold',
  );
  return { finding, plan, proved, plain, wanted };
}

const shownClasses = ({ plan, plain, wanted }: Prepared): FieldClass[] =>
  (plain ?? plan).sites.flatMap(({ fieldClass }, index) => (wanted[index] === 'withhold' ? [] : [fieldClass]));

export const keyIdOf = (token: string): string => asSealFailure(() => tokenKeyId(token));

/** Every way in which a sealed value can fail looks alike from outside. */
export function asSealFailure<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new KeywardError('SEAL_NOT_AUTHENTIC', { cause });
  }
}
