/** Parts of a resource: what `_elements` and `_summary` leave of it, before it is opened and after. */
import type { Json } from '@keyward/sdk/seal';
import summary from './generated/summary.json' with { type: 'json' };
import { isObject, type JsonObject, ROOT_URL, splitExtensions } from './marks.ts';
import { isPrimitive } from './primitives.ts';
import { type Element, elementsOf, holdsResource } from './structure.ts';
import type { FhirResource } from './types.ts';

/** https://hl7.org/fhir/R4/search.html#summary and #elements */
export type Selection =
  | { readonly kind: 'summary' | 'text' | 'data' }
  /** Elements of the type itself, choices by their stem. */
  | { readonly kind: 'elements'; readonly names: readonly string[] };

const TABLE: ReadonlyMap<string, readonly string[]> = new Map(Object.entries(summary));

const summaryOf = (type: string): readonly string[] => TABLE.get(type)?.[0]?.split(' ') ?? [];
const mandatoryOf = (type: string): readonly string[] => TABLE.get(type)?.[1]?.split(' ') ?? [];

/** Who the resource is; a part without it could not be told from another. */
const IDENTITY = ['id', 'meta'] as const;

/** Whether a name can stand in `_elements` of a type. */
export const isSelectable = (type: string, name: string): boolean =>
  [...(elementsOf(type)?.values() ?? [])].some(({ stem, name: full }) => stem === name || full === name);

/**
 * What is selected, elements that are sealed among it as they are.
 * @param also elements that are needed besides, to be left out later
 */
export function selectedPart(resource: FhirResource, selection: Selection, also: readonly string[] = []): FhirResource {
  const type = resource.resourceType;
  const part = membersOf(
    resource,
    type,
    (element) => also.includes(element.stem) || isSelected(type, selection, element),
  );
  const whole = selection.kind === 'summary' ? summarised(part, type, also) : part;
  return withRoot(whole, resource) as FhirResource;
}

function isSelected(type: string, selection: Selection, { stem, name }: Element): boolean {
  if (IDENTITY.some((always) => always === name)) return true;
  if (selection.kind === 'data') return name !== 'text';
  if (selection.kind === 'summary') return summaryOf(type).includes(stem);
  if (mandatoryOf(type).includes(stem)) return true;
  if (selection.kind !== 'elements') return name === 'text';
  return selection.names.includes(stem) || selection.names.includes(name);
}

/** Members by their elements; what stands beside a primitive goes with it. */
function membersOf(object: JsonObject, type: string, keeps: (element: Element) => boolean): JsonObject {
  const elements = elementsOf(type);
  const kept = Object.entries(object).filter(([member]) => {
    const element = elements?.get(member.replace(/^_/, ''));
    return element ? keeps(element) : member === 'resourceType';
  });
  return Object.fromEntries(kept);
}

/** A summary goes all the way down: of an attachment it shows the title, not the data. */
function summarised(object: JsonObject, type: string, also: readonly string[]): JsonObject {
  const elements = elementsOf(type);
  const entries = Object.entries(object).map(([member, value]): [string, Json] => {
    const element = elements?.get(member);
    const isWhole = !element || isPrimitive(element.type) || member === 'meta' || also.includes(element.stem);
    return [member, isWhole ? value : mapEntries(value, (entry) => summaryOfEntry(entry, element))];
  });
  return Object.fromEntries(entries);
}

function summaryOfEntry(value: Json, { type }: Element): Json {
  if (!isObject(value)) return value;
  const own = value['resourceType'];
  const inner = holdsResource(type) && typeof own === 'string' ? own : type;
  const names = summaryOf(inner);
  return summarised(
    membersOf(value, inner, ({ stem }) => names.includes(stem)),
    inner,
    [],
  );
}

const mapEntries = (value: Json, map: (entry: Json) => Json): Json =>
  Array.isArray(value) ? (value as readonly Json[]).map(map) : map(value);

/** Without our root nothing of a sealed resource could be opened. */
function withRoot(part: JsonObject, { extension }: FhirResource): JsonObject {
  if (part['extension'] !== undefined) return part;
  const { ours } = splitExtensions(extension, ROOT_URL);
  return ours.length === 0 ? part : { ...part, extension: ours };
}
