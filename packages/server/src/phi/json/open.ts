/** Plans the opening of one answer of a JSON API: which texts it holds, and what a reader is shown in their places. */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../../core/index.ts';
import type { Disclosure } from '../types.ts';
import { assertAmount } from './amount.ts';
import { holdsMark, looksLikeText, readText } from './text.ts';
import type { JsonObjectSpot, JsonOpenPlan, JsonOpenSite, JsonRoot, JsonTreatment, SchemaNode } from './types.ts';
import { bodySpot, type Held, rewriteBody, type Spot, type Visitor } from './walk.ts';

export interface BodyToOpen {
  readonly node: SchemaNode;
  readonly body: Json;
  readonly type: string;
  readonly subject: string | undefined;
  /** Objects whose members may stem from several writes. */
  readonly partlyWritten: ReadonlySet<string>;
}

/**
 * The upstream is not trusted: what sealing never writes is tampering, or was written past the gateway.
 * @throws KeywardError `SEAL_NOT_AUTHENTIC` | `GATEWAY_UPSTREAM_UNSEALED` | `API_RESPONSE_INVALID` | `API_RESPONSE_TOO_LARGE`
 */
export function planJsonOpen(given: BodyToOpen): JsonOpenPlan {
  const objects: JsonObjectSpot[] = [bodySpot(given)];
  const sites: JsonOpenSite[] = [];
  const roots = new Map<number, JsonRoot>();
  const walk = (disclose: (site: JsonOpenSite) => Disclosure | undefined | void, object: Visitor['object']) =>
    rewriteBody(given.node, given.body, given.type, openingVisitor(disclose, object));
  walk(
    (site) => {
      agree(roots, site, given.partlyWritten.has(objects[site.object]?.type ?? ''));
      sites.push(site);
      assertAmount(objects, sites, 'API_RESPONSE_TOO_LARGE');
    },
    (spot) => {
      // Whole records under another address are somebody else's too.
      if (spot.subject !== undefined && given.subject !== undefined && spot.subject !== given.subject)
        throw new KeywardError('API_RESPONSE_INVALID');
      objects.push({ ...spot, subject: spot.subject ?? objects[spot.around]?.subject });
      assertAmount(objects, sites, 'API_RESPONSE_TOO_LARGE');
      return true;
    },
  );
  return {
    objects,
    sites,
    apply(disclosures, shows = () => true) {
      if (disclosures.length !== sites.length) throw new KeywardError('CORE_INTERNAL');
      let [next, object] = [0, 0];
      return walk(
        () => disclosures[next++],
        () => shows(++object),
      );
    },
  };
}

/** All texts of one object are of one person and, unless parts of it may be written alone, of one write. */
function agree(roots: Map<number, JsonRoot>, { object, root }: JsonOpenSite, partlyWritten: boolean): void {
  const first = roots.get(object);
  if (first && (first.scope !== root.scope || (!partlyWritten && first.objectId !== root.objectId)))
    throw new KeywardError('SEAL_NOT_AUTHENTIC');
  roots.set(object, first ?? root);
}

function openingVisitor(
  disclose: (site: JsonOpenSite) => Disclosure | undefined | void,
  object: Visitor['object'],
): Visitor {
  return {
    object,
    // Servers add members of their own: these are not passed on.
    undescribed: () => undefined,
    absent: () => undefined,
    clear(value) {
      if (typeof value === 'string' && holdsMark(value)) throw new KeywardError('SEAL_NOT_AUTHENTIC');
      return value;
    },
    protect(spot, held) {
      const text = textOf(spot, held);
      if (text === undefined) return { value: held.value, companion: undefined };
      const { boundPath: path, rule } = spot;
      const { root, token } = readText(text);
      const site = { object: spot.object, path, datatype: rule.datatype, fieldClass: rule.fieldClass, root, token };
      return { value: shown(spot, disclose(site) ?? { kind: 'withhold' }), companion: undefined };
    },
  };
}

const isNothing = (value: Json | undefined): value is null | undefined => value === undefined || value === null;

/** What may stand in place when the ciphertext is in the companion. */
const BESIDE_COMPANION: Readonly<Record<Exclude<JsonTreatment, 'seal'>, RegExp | undefined>> = {
  index: /^kwi1[a-z2-7]{26}$/,
  year: /^\d{4}$/,
  omit: undefined,
};

/** The stored text of a member; undefined when it has no value. */
function textOf({ rule: { treatment } }: Spot, { value, companion }: Held): string | undefined {
  const text = treatment === 'seal' ? value : companion;
  if (treatment !== 'seal' && !isNothing(value)) assertBeside(BESIDE_COMPANION[treatment], value, text);
  if (isNothing(text)) return undefined;
  if (typeof text === 'string' && looksLikeText(text)) return text;
  throw new KeywardError(treatment === 'seal' ? 'GATEWAY_UPSTREAM_UNSEALED' : 'SEAL_NOT_AUTHENTIC');
}

function assertBeside(pattern: RegExp | undefined, value: Json, text: Json | undefined): void {
  if (typeof value !== 'string' || !pattern?.test(value)) throw new KeywardError('GATEWAY_UPSTREAM_UNSEALED');
  if (isNothing(text)) throw new KeywardError('SEAL_NOT_AUTHENTIC');
}

/** A mask is text: where the API promises a format, the value is withheld instead. */
function shown({ rule, required }: Spot, disclosure: Disclosure): Json | undefined {
  if (disclosure.kind === 'open' || (disclosure.kind === 'mask' && rule.maskable)) return disclosure.value;
  return required ? null : undefined;
}
