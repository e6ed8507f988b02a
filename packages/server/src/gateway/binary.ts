/** Binary in its native form: bytes with a content type in place of FHIR JSON (https://hl7.org/fhir/R4/binary.html). */
import type { Json } from '@keyward/sdk/seal';
import { KeywardError } from '../core/index.ts';
import type { FhirResource } from '../phi/index.ts';
import type { Exchange } from './exchange.ts';
import { ID, relativeUrl } from './routes.ts';

const FHIR_JSON: ReadonlySet<string> = new Set(['application/fhir+json', 'application/json', 'text/json']);
/** A Binary in this form could be a resource, which only a reader of XML could tell. */
const FHIR_XML = 'application/fhir+xml';

/** RFC 6838 §4.2, and the one parameter that says how text is to be read. */
const MEDIA_TYPE =
  /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}(?:; ?charset=[a-z0-9_.:-]{1,40})?$/i;
const UNKNOWN_TYPE = 'application/octet-stream';

export const mediaTypeOf = (header: string | undefined): string => (header?.split(';')[0] ?? '').trim().toLowerCase();

/** Whether a write brings the bytes themselves. */
export const isRawBinaryWrite = ({ route, incoming, inBatch }: Exchange): boolean =>
  route.type === 'Binary' &&
  (route.name === 'create' || route.name === 'update') &&
  !inBatch &&
  !FHIR_JSON.has(mediaTypeOf(incoming.headers['content-type']));

/**
 * The Binary that raw bytes become. It is sealed as one value, so it is held in memory whole: `gateway.maxBodyBytes` bounds it.
 * @throws KeywardError `GATEWAY_CONTENT_TYPE` | `GATEWAY_HEADER_REFUSED`
 */
export function binaryOf({ incoming, route, gateway }: Exchange, bytes: Buffer): Json {
  const contentType = incoming.headers['content-type'] ?? '';
  if (!MEDIA_TYPE.test(contentType) || mediaTypeOf(contentType) === FHIR_XML)
    throw new KeywardError('GATEWAY_CONTENT_TYPE', { detail: 'A Binary takes type/subtype, with charset at most.' });
  const context = incoming.headers['x-security-context'];
  return {
    resourceType: 'Binary',
    ...(route.id === '' ? {} : { id: route.id }),
    contentType,
    ...(context === undefined ? {} : { securityContext: { reference: literal(String(context), gateway.publicBase) } }),
    data: bytes.toString('base64'),
  };
}

const LITERAL = new RegExp(`^[A-Z][A-Za-z]*/${ID}$`);

function literal(reference: string, publicBase: string): string {
  const relative = relativeUrl(reference, publicBase);
  if (!LITERAL.test(relative))
    throw new KeywardError('GATEWAY_HEADER_REFUSED', {
      detail: 'X-Security-Context takes one reference, as in Patient/1.',
    });
  return relative;
}

/** Who does not ask for FHIR JSON gets the content (R4 §2.21.2, "Serving Binary Resources using the RESTful API"). */
export function asksForContent({ route, incoming, query, inBatch }: Exchange): boolean {
  const reads = route.type === 'Binary' && (route.name === 'read' || route.name === 'vread');
  return (
    reads &&
    !inBatch &&
    !query.has('_format') &&
    !acceptedTypes(incoming.headers.accept).some((type) => FHIR_JSON.has(type))
  );
}

const acceptedTypes = (accept: string | undefined): string[] =>
  (accept ?? '*/*')
    .split(',')
    .map((entry) => mediaTypeOf(entry))
    .filter((type) => type !== '');

interface Content {
  readonly type: string;
  readonly bytes: Buffer;
  readonly securityContext: string | undefined;
}

/** What an opened Binary holds. @throws KeywardError `GATEWAY_NOT_ACCEPTABLE` when it is of none of the types that were asked for */
export function contentOf(binary: FhirResource, accept: string | undefined): Content {
  const { contentType, data, securityContext } = binary;
  const type = typeof contentType === 'string' && MEDIA_TYPE.test(contentType) ? contentType : UNKNOWN_TYPE;
  const wanted = acceptedTypes(accept);
  const mediaType = mediaTypeOf(type);
  const ranges = [mediaType, `${mediaType.split('/')[0] ?? ''}/*`, '*/*'];
  if (!wanted.some((range) => ranges.includes(range)))
    throw new KeywardError('GATEWAY_NOT_ACCEPTABLE', { detail: 'This Binary is of another content type.' });
  const reference = (securityContext as { reference?: Json } | undefined)?.reference;
  return {
    type,
    bytes: Buffer.from(typeof data === 'string' ? data : '', 'base64'),
    securityContext: typeof reference === 'string' && LITERAL.test(reference) ? reference : undefined,
  };
}
