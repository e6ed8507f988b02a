/** Shows a record that the upstream holds in plaintext as its sealed form would be shown: by class, withheld, masked or open. */
import type { Json } from '@keyward/sdk/seal';
import { hidesYear } from './age.ts';
import type { Catalogue } from './catalogue.ts';
import { asSubsetted } from './marks.ts';
import { flawOf, shown } from './open.ts';
import { TREATMENTS } from './treatments.ts';
import type { Disclosure, FhirResource, FieldClass } from './types.ts';
import { rewriteResource } from './walk.ts';

export interface PlainSite {
  readonly fieldClass: FieldClass;
  readonly value: Json;
}

export interface PlainPlan {
  readonly sites: readonly PlainSite[];
  /** As of an OpenPlan. */
  apply(disclosures: readonly Disclosure[]): FhirResource;
}

/** @throws KeywardError `GATEWAY_UPSTREAM_INVALID` for what is not R4 */
export function planPlain(resource: FhirResource, now: Date, catalogue: Catalogue): PlainPlan {
  const sites: PlainSite[] = [];
  const walk = (disclose: (site: PlainSite) => Disclosure | undefined | void) =>
    rewriteResource(resource, {
      catalogue,
      flaw: flawOf(false),
      primitive(spot, { value, companion }, inside) {
        const beside = companion && inside(companion);
        const rule = catalogue.ruleOf(spot);
        if (value === undefined || rule === undefined) return { value, companion: beside };
        const disclosure = disclose({ fieldClass: rule.fieldClass, value }) ?? { kind: 'withhold' };
        // What the sealed form would keep readable (a year) stays readable.
        const isHidden = hidesYear({ treatment: rule.treatment, value }, now, catalogue);
        const kept =
          rule.treatment === 'year'
            ? TREATMENTS.year.store(value, { token: '', indexes: [], hidesYear: isHidden })
            : undefined;
        return shown(rule, kept, beside, disclosure);
      },
    });
  walk((site) => void sites.push(site));
  return {
    sites,
    apply(disclosures) {
      let next = 0;
      const copy = walk(() => disclosures[next++]);
      return disclosures.every(({ kind }) => kind === 'open') ? copy : asSubsetted(copy);
    },
  };
}
