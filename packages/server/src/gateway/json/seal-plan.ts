/** Seals what a plan found and opens what a decision permits; one key call and one engine call for all of a body. */
import type { KeySpec } from '@keyward/sdk/client';
import { blindIndex, type FieldContext, type Json } from '@keyward/sdk/seal';
import { KeywardError, newUuid } from '../../core/index.ts';
import {
  type Disclosure,
  type FieldClass,
  type JsonOpenPlan,
  type JsonRoot,
  type JsonSealPlan,
  type JsonSite,
  writeText,
} from '../../phi/index.ts';
import { known } from '../exchange.ts';
import { masked } from '../mask.ts';
import type { Decision } from '../policy.ts';
import { keysForSeals, keysToOpen } from '../key-calls.ts';
import { protectSpec, TENANT_SCOPE } from '../seal-context.ts';
import { asSealFailure, keyIdOf } from '../sealing.ts';
import type { ApiExchange } from './exchange.ts';
import { inSlices } from './slices.ts';
import { scopesOf } from './subject-scopes.ts';

/** What a text is bound to: besides its own place, the API it belongs to. */
const contextOf = (
  { gateway, api }: ApiExchange,
  type: string,
  { scope, objectId }: JsonRoot,
  { path, datatype, fieldClass }: JsonSite,
): FieldContext => ({
  tenant: gateway.tenant,
  scope,
  objectType: `${api.name}:${type}`,
  objectId,
  path,
  datatype,
  fieldClass,
});

/** The sealed body. */
export async function sealPlanned(exchange: ApiExchange, plan: JsonSealPlan): Promise<Json> {
  const { objects, sites } = plan;
  const roots = objects.map(
    ({ subject }): JsonRoot => ({
      objectId: newUuid(),
      scope: subject === undefined ? TENANT_SCOPE : known(exchange.scopes.get(subject), 'scope'),
    }),
  );
  const rootOf = ({ object }: JsonSite): JsonRoot => known(roots[object], 'root');
  const keyOf = await keysForSeals(
    exchange,
    sites.flatMap((site): (readonly [KeySpec, number])[] => [
      [protectSpec(rootOf(site).scope), 1],
      ...(site.term ? [[{ kind: 'index', indexClass: site.term.indexClass }, 1] as const] : []),
    ]),
  );
  const items = sites.map((site) => ({
    key: keyOf(protectSpec(rootOf(site).scope)),
    context: contextOf(exchange, objects[site.object]?.type ?? '', rootOf(site), site),
    value: site.value,
  }));
  const tokens = await inSlices(items, (slice) => exchange.gateway.engine.sealMany(slice));
  return plan.apply(
    sites.map((site, index) => {
      const { term } = site;
      const key = term && keyOf({ kind: 'index', indexClass: term.indexClass });
      return {
        text: writeText(rootOf(site), known(tokens[index], 'token')),
        index: key && blindIndex(key, term.indexClass, term.system, term.text),
      };
    }),
  );
}

/** What is about to be opened; nothing has been yet. */
export interface ApiOpening {
  readonly keyIds: readonly string[];
  readonly scopes: readonly string[];
  readonly classes: readonly FieldClass[];
  /** Whether the caller sees less than there is. */
  readonly narrowed: boolean;
  /** Of an object, by its position. */
  readonly shows: (object: number) => boolean;
  /** Opens, after the disclosure was recorded; undefined when nothing at all is shown. @throws KeywardError `SEAL_NOT_AUTHENTIC` */
  open(): Promise<Json | undefined>;
}

/** @param decisionOf of an object, by its position; undefined: nothing of it is shown */
export function prepareApiOpening(
  exchange: ApiExchange,
  plan: JsonOpenPlan,
  decisionOf: (object: number) => Decision | undefined,
): ApiOpening {
  const shown: boolean[] = [];
  // An object comes after what is around it, and goes with it.
  for (const [position, { around, page }] of plan.objects.entries())
    shown.push((page || decisionOf(position) !== undefined) && (position === 0 || shown[around] === true));
  const shows = (object: number): boolean => shown[object] === true;
  const wanted = plan.sites.map(({ object, fieldClass }): Disclosure['kind'] => {
    const decision = shows(object) ? decisionOf(object) : undefined;
    return decision?.open.has(fieldClass) ? 'open' : decision?.mask.has(fieldClass) ? 'mask' : 'withhold';
  });
  const needed = plan.sites.filter((_site, index) => wanted[index] !== 'withhold');
  const keyIds = [...new Set(needed.map(({ token }) => keyIdOf(token)))];
  return {
    keyIds,
    scopes: [...new Set(plan.sites.flatMap(({ object, root }) => (shows(object) ? [root.scope] : [])))].filter(
      (scope) => scope !== TENANT_SCOPE,
    ),
    classes: [...new Set(needed.map(({ fieldClass }) => fieldClass))],
    narrowed: shown.includes(false) || wanted.some((want) => want !== 'open'),
    shows,
    async open() {
      const named = needed.map(({ token, root: { scope } }) => ({ keyId: keyIdOf(token), scope }));
      const keyById = await keysToOpen(exchange, named);
      const items = needed.map((site) => ({
        key: known(keyById.get(keyIdOf(site.token)), 'key'),
        context: contextOf(exchange, plan.objects[site.object]?.type ?? '', site.root, site),
        token: site.token,
      }));
      const { engine } = exchange.gateway;
      const values = await inSlices(items, (slice) => asSealFailure(() => engine.openMany(slice)));
      let next = 0;
      const disclosures = wanted.map(
        (want): Disclosure => (want === 'withhold' ? { kind: want } : disclosed(want, values[next++] ?? null)),
      );
      return shows(0) ? plan.apply(disclosures, shows) : undefined;
    },
  };
}

const disclosed = (want: 'open' | 'mask', value: Json): Disclosure =>
  want === 'open' ? { kind: 'open', value } : masked(value);

/**
 * A text that was moved to another person's object brings that person's scope along.
 * @throws KeywardError `SEAL_NOT_AUTHENTIC`; `API_RESPONSE_INVALID` when an object does not say whose it is
 */
export async function assertSubjects(exchange: ApiExchange, { objects, sites }: JsonOpenPlan): Promise<void> {
  const spots = sites.map(({ object, root }) => ({ spot: known(objects[object], 'object'), root }));
  const scopes = await scopesOf(
    exchange,
    spots.flatMap(({ spot }) => spot.subject ?? []),
  );
  for (const { spot, root } of spots) {
    if (spot.subject !== undefined && scopes.get(spot.subject) !== root.scope)
      throw new KeywardError('SEAL_NOT_AUTHENTIC');
    if (spot.subject === undefined && spot.namesSubject) throw new KeywardError('API_RESPONSE_INVALID');
  }
}
