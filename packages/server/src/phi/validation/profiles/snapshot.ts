/** The elements of a snapshot as a tree, by their ids (https://hl7.org/fhir/R4/elementdefinition.html#id). */
import type { JsonObject } from '../../marks.ts';
import { list, unusable } from './library.ts';

export interface SnapshotElement {
  readonly id: string;
  /** Last part of the id. */
  readonly label: string;
  readonly definition: JsonObject;
  readonly children: SnapshotElement[];
  readonly slices: SnapshotElement[];
}

/** @throws KeywardError `FHIR_PROFILE_UNUSABLE` */
export function readSnapshot(url: string, structure: JsonObject): SnapshotElement {
  const { snapshot } = structure as { snapshot?: JsonObject };
  const definitions = snapshot ? list(snapshot, 'element') : [];
  const byId = new Map<string, SnapshotElement>();
  for (const definition of definitions) {
    const element = newElement(url, definition);
    if (byId.has(element.id)) throw unusable(url, `${element.id} is there twice.`);
    byId.set(element.id, element);
    if (byId.size > 1) placeFor(element, byId, url).push(element);
  }
  const [root] = byId.values();
  if (!root) throw unusable(url, 'it has no snapshot. Give the published form, which has one.');
  return root;
}

function newElement(url: string, definition: JsonObject): SnapshotElement {
  const { id } = definition;
  if (typeof id !== 'string') throw unusable(url, 'an element of its snapshot has no id.');
  return { id, label: id.slice(id.lastIndexOf('.') + 1), definition, children: [], slices: [] };
}

/** A slice belongs to the element it slices, anything else to the element around it. */
function placeFor(
  { id, label }: SnapshotElement,
  byId: ReadonlyMap<string, SnapshotElement>,
  url: string,
): SnapshotElement[] {
  const outer = id.slice(0, id.length - label.length - 1);
  const [name = '', slice] = label.split(':');
  if (slice?.includes('/')) throw unusable(url, `${id}: slices of slices are not supported.`);
  const parent = byId.get(slice === undefined ? outer : `${outer}.${name}`);
  if (!parent) throw unusable(url, `${id} belongs to no element of the snapshot.`);
  return slice === undefined ? parent.children : parent.slices;
}
