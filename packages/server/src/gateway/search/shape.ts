/** `_elements` and `_summary`: which parts of a resource are opened and shown; never told to the upstream, which would take our marks away. */
import { KeywardError } from '../../core/index.ts';
import { asSubsetted, type FhirResource, isSelectable, type Selection, selectedPart } from '../../phi/index.ts';
import { isJsonFormat } from '../routes.ts';
import { invalidParameter, unsupportedParameter } from './values.ts';

/** What the client asked to be shown; `count` shows no resource at all. */
export type Shape = Selection | { readonly kind: 'count' };

const SUMMARIES: Readonly<Record<string, Shape | undefined>> = {
  true: { kind: 'summary' },
  text: { kind: 'text' },
  data: { kind: 'data' },
  count: { kind: 'count' },
  false: undefined,
};

export const SHAPE_PARAMETERS: ReadonlySet<string> = new Set(['_elements', '_summary']);

/** @throws KeywardError `FHIR_PARAM_INVALID` | `FHIR_PARAM_UNSUPPORTED` */
export function shapeOf(type: string, parameters: URLSearchParams): Shape | undefined {
  const [elements, summary] = [single(parameters, '_elements'), single(parameters, '_summary')];
  if (elements !== undefined && summary !== undefined)
    throw unsupportedParameter('Parameters _elements and _summary together: send one of them.');
  if (elements !== undefined) return { kind: 'elements', names: elementNames(type, elements) };
  if (summary === undefined) return undefined;
  if (!Object.hasOwn(SUMMARIES, summary))
    throw invalidParameter('Parameter _summary takes true, text, data, count or false.');
  return SUMMARIES[summary];
}

function single(parameters: URLSearchParams, name: string): string | undefined {
  const values = parameters.getAll(name);
  if (values.length > 1) throw invalidParameter(`Parameter ${name} comes once.`);
  return values[0];
}

function elementNames(type: string, text: string): string[] {
  const names = text.split(',').map((name) => name.trim().replace(/\[x\]$/, ''));
  if (!names.every((name) => isSelectable(type, name)))
    throw invalidParameter('Parameter _elements takes names of elements of the type itself, separated by commas.');
  return [...new Set(names)];
}

/** The parameters of a read: how the answer is written, and which parts of it. @throws KeywardError as `shapeOf`; `GATEWAY_NOT_ACCEPTABLE` */
export function readShape(type: string, parameters: URLSearchParams): Shape | undefined {
  for (const [name, value] of parameters) {
    if (name === '_format' && !isJsonFormat(value)) throw new KeywardError('GATEWAY_NOT_ACCEPTABLE');
    if (name !== '_format' && name !== '_pretty' && !SHAPE_PARAMETERS.has(name))
      throw unsupportedParameter('A read takes _elements or _summary.');
  }
  const shape = shapeOf(type, parameters);
  if (shape?.kind === 'count') throw unsupportedParameter('Parameter _summary=count of a read: there is one.');
  return shape;
}

/** Elements are those of one type; a summary is one of any. */
const selectionFor = (shape: Shape | undefined, isMatch: boolean): Selection | undefined =>
  shape === undefined || shape.kind === 'count' || (shape.kind === 'elements' && !isMatch) ? undefined : shape;

/** Before it is opened: what is left out here is not opened at all. */
export function narrowed(
  resource: FhirResource,
  shape: Shape | undefined,
  isMatch: boolean,
  also: readonly string[],
): FhirResource {
  const selection = selectionFor(shape, isMatch);
  return selection ? selectedPart(resource, selection, also) : resource;
}

/** As it is shown, and tagged as the part it is. */
export function shaped(opened: FhirResource, shape: Shape | undefined, isMatch: boolean): FhirResource {
  const selection = selectionFor(shape, isMatch);
  return selection ? asSubsetted(selectedPart(opened, selection)) : opened;
}
