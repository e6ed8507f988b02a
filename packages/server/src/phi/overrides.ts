/** The operator's overrides: a YAML file that says, by path, what is sealed otherwise than Keyward's own rules have it. */
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { type ErrorCode, KeywardError } from '../core/index.ts';
import { legality, resolveElement, resolveExtensionValue } from './override-paths.ts';
import type { Rule, Treatment } from './rules.ts';
import { isResourceType } from './structure.ts';
import { FIELD_CLASS_OF_INDEX, FIELD_CLASSES, INDEX_CLASSES, type IndexClass } from './types.ts';

/** What is done with one element; `clear` takes it out of the seal. */
export type Choice = Rule | 'clear';

/** What the overrides say about the elements of one place in a resource. */
export interface OverridePlace {
  /** By member name of a primitive. */
  readonly rules: Map<string, Choice>;
  /** By member name of what has parts. */
  readonly inside: Map<string, OverridePlace>;
  /** By url of an extension inside an extension. */
  readonly extensions: Map<string, OverridePlace>;
}

export interface Overrides {
  readonly hideYearAboveAge: number | undefined;
  /** By resource type: whether it is sealed. */
  readonly types: ReadonlyMap<string, boolean>;
  /** By resource type or backbone type: these hold wherever such an object stands. */
  readonly places: ReadonlyMap<string, OverridePlace>;
  /** By `datatype.element`: these hold in whatever is sealed. */
  readonly datatypes: ReadonlyMap<string, Choice>;
  /** By url: these hold in whatever is sealed. */
  readonly extensions: ReadonlyMap<string, OverridePlace>;
  /** The same content always gives the same text; reasons are no part of it. */
  readonly canonical: string;
}

export const NO_OVERRIDES: Overrides = {
  hideYearAboveAge: undefined,
  types: new Map(),
  places: new Map(),
  datatypes: new Map(),
  extensions: new Map(),
  canonical: canonicalText({ types: {}, elements: {}, extensions: {} }),
};

const INDEX_PREFIX = 'index:';
const reason = z.string().trim().min(1);
const row = z.union([
  z.strictObject({ treatment: z.literal('clear'), reason }),
  z.strictObject({
    treatment: z.enum(INDEX_CLASSES.map((indexClass) => `${INDEX_PREFIX}${indexClass}` as const)),
    reason: reason.optional(),
  }),
  z.strictObject({ treatment: z.literal('year'), reason: reason.optional() }),
  z.strictObject({
    treatment: z.enum(['seal', 'omit', 'base64']),
    class: z.enum(FIELD_CLASSES),
    reason: reason.optional(),
  }),
]);
type Row = z.infer<typeof row>;

const extension = z.strictObject({
  values: z.record(z.string(), row).optional(),
  get parts() {
    return z.record(z.string(), extension).optional();
  },
});
type Extension = z.infer<typeof extension>;

/** Ages that 45 CFR 164.514(b)(2)(i)(C) permits, and stricter ones. */
const OLDEST_SHOWN_AGE = 89;

const schema = z.strictObject({
  version: z.literal(1),
  hideYearAboveAge: z.int().min(1).max(OLDEST_SHOWN_AGE).optional(),
  types: z
    .record(
      z.string(),
      z.union([
        z.strictObject({ sealed: z.literal(true), reason: reason.optional() }),
        z.strictObject({ sealed: z.literal(false), reason }),
      ]),
    )
    .default({}),
  elements: z.record(z.string(), row).default({}),
  extensions: z.record(z.string(), extension).default({}),
});

/**
 * @throws KeywardError `SEAL_OVERRIDES_INVALID`, or `SEAL_INDEX_REFUSED` where an index would tell its values; the detail names every faulty
 *   line by its path
 */
export function parseOverrides(text: string): Overrides {
  const { hideYearAboveAge, types, elements, extensions } = read(text);
  const faults = new Faults();
  for (const type of Object.keys(types)) faults.check(`types.${type}`, typeFault(type, types[type]?.sealed ?? true));
  const places = new Map<string, OverridePlace>();
  const datatypes = new Map<string, Choice>();
  for (const [path, line] of Object.entries(elements)) {
    const where = `elements.${path}`;
    const found = resolveElement(path);
    if (typeof found === 'string') faults.check(where, found);
    else if (faults.check(where, ...legality(found.element, line.treatment))) {
      const choice = choiceOf(line, where);
      if (found.owner === undefined) datatypes.set(path, choice);
      else placeAt(places, found.owner, found.steps).rules.set(found.element.name, choice);
    }
  }
  const byUrl = new Map(
    Object.entries(extensions).map(([url, line]) => [url, extensionPlace(line, `extensions.${url}`, faults)]),
  );
  faults.assertNone();
  const canonical = canonicalText({ hideYearAboveAge, types, elements, extensions });
  return {
    hideYearAboveAge,
    types: new Map(Object.entries(types).map(([type, { sealed }]) => [type, sealed])),
    places,
    datatypes,
    extensions: byUrl,
    canonical,
  };
}

function read(text: string): z.infer<typeof schema> {
  let content: unknown;
  try {
    content = parseYaml(text, { strict: true, uniqueKeys: true });
  } catch (cause) {
    throw new KeywardError('SEAL_OVERRIDES_INVALID', { detail: 'The file is not YAML.', cause });
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const detail = parsed.error.issues
    .map((issue) => {
      const keys = issue.code === 'unrecognized_keys' ? ` (${issue.keys.join(', ')})` : '';
      return `${issue.path.join('.') || '(root)'}: ${issue.code}${keys}`;
    })
    .join('; ');
  throw new KeywardError('SEAL_OVERRIDES_INVALID', { detail, cause: parsed.error });
}

function typeFault(type: string, sealed: boolean): string | undefined {
  if (!isResourceType(type)) return 'is no resource type of R4';
  // The Patient's own seal holds the scope that every record of the patient is sealed under.
  return type === 'Patient' && !sealed ? 'is always sealed' : undefined;
}

function choiceOf(line: Row, override: string): Choice {
  if (line.treatment === 'clear') return 'clear';
  // Whoever may search by a year may open birth dates.
  if (line.treatment === 'year') return { treatment: 'year', fieldClass: 'birthDate', override };
  if ('class' in line) return { treatment: line.treatment, fieldClass: line.class, override };
  const indexClass = line.treatment.slice(INDEX_PREFIX.length) as IndexClass;
  return { treatment: 'index' satisfies Treatment, fieldClass: FIELD_CLASS_OF_INDEX[indexClass], indexClass, override };
}

const newPlace = (): OverridePlace => ({ rules: new Map(), inside: new Map(), extensions: new Map() });

function placeAt(places: Map<string, OverridePlace>, owner: string, steps: readonly string[]): OverridePlace {
  const enter = (map: Map<string, OverridePlace>, name: string): OverridePlace => {
    const known = map.get(name) ?? newPlace();
    map.set(name, known);
    return known;
  };
  return steps.reduce((place, step) => enter(place.inside, step), enter(places, owner));
}

function extensionPlace(line: Extension, where: string, faults: Faults): OverridePlace {
  const place = newPlace();
  for (const [name, value] of Object.entries(line.values ?? {})) {
    const path = `${where}.values.${name}`;
    const element = resolveExtensionValue(name);
    if (typeof element === 'string') faults.check(path, element);
    else if (faults.check(path, ...legality(element, value.treatment))) place.rules.set(name, choiceOf(value, path));
  }
  for (const [url, part] of Object.entries(line.parts ?? {}))
    place.extensions.set(url, extensionPlace(part, `${where}.parts.${url}`, faults));
  return place;
}

/** All faults of a file are told at once. */
class Faults {
  readonly #found: { readonly text: string; readonly code: ErrorCode }[] = [];

  /** Whether there is none. */
  check(where: string, fault: string | undefined, code: ErrorCode = 'SEAL_OVERRIDES_INVALID'): boolean {
    if (fault !== undefined) this.#found.push({ text: `${where} ${fault}`, code });
    return fault === undefined;
  }

  assertNone(): void {
    const code = this.#found[0]?.code;
    if (code === undefined) return;
    throw new KeywardError(code, { detail: `${this.#found.map(({ text }) => text).join('; ')}.` });
  }
}

function canonicalText(content: object): string {
  return JSON.stringify(content, (name, value: unknown) => {
    if (name === 'reason' && typeof value === 'string') return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)));
  });
}
