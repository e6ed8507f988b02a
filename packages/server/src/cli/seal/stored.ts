/** Reads what a FHIR server stores, type by type and page by page, as it stands there: sealed, without any key. */
import { readFileSync } from 'node:fs';
import type { Json } from '@keyward/sdk/seal';
import { Agent, request } from 'undici';
import { asKeywardError, KeywardError, parseJson } from '../../core/index.ts';
import { type Catalogue, type FhirResource, isResourceType } from '../../phi/index.ts';
import { isObject, listAt, textAt } from '../json.ts';
import { resourcesIn } from './resources.ts';

const PAGE_SIZE = 500;
const TIMEOUT_MS = 120_000;
/** As deep as the gateway lets an upstream answer. */
const MAX_DEPTH = 96;

export interface StoredSource {
  /** FHIR base of the server. */
  readonly url: string;
  /** Value of the Authorization header. */
  readonly authorization: string | undefined;
}

/** @throws KeywardError `CLI_USAGE` for a url that holds more than a base, `CLI_UPSTREAM` */
export async function* readStored(
  { url, authorization }: StoredSource,
  catalogue: Catalogue,
): AsyncGenerator<FhirResource> {
  const base = baseOf(url);
  const agent = new Agent({ headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  const get = (address: string) => fetchJson(agent, address, authorization);
  try {
    const types = typesIn(await get(`${base}/metadata`)).filter((type) => catalogue.touches(type));
    for (const type of types) yield* pagesOf(base, `${base}/${type}?_count=${PAGE_SIZE}`, get);
  } finally {
    await agent.destroy();
  }
}

function baseOf(text: string): string {
  const url = URL.parse(text);
  const isBase =
    url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (!isBase)
    throw new KeywardError('CLI_USAGE', { detail: '--upstream takes a FHIR base without credentials or query' });
  return url.href.replace(/\/$/, '');
}

const typesIn = (statement: Json): string[] =>
  listAt(statement, 'rest')
    .flatMap((rest) => listAt(rest, 'resource'))
    .flatMap((resource) => textAt(resource, 'type') ?? [])
    .filter(isResourceType);

async function* pagesOf(
  base: string,
  first: string,
  get: (address: string) => Promise<Json>,
): AsyncGenerator<FhirResource> {
  const seen = new Set<string>();
  let next: string | undefined = first;
  while (next !== undefined && !seen.has(next)) {
    seen.add(next);
    const page: Json = await get(next);
    for (const entry of listAt(page, 'entry'))
      if (isObject(entry) && isObject(entry['resource'])) yield* resourcesIn(entry['resource'], 'the answer');
    next = nextOf(page, base);
  }
}

/** Our header goes to the server that was named, and to no other. */
function nextOf(page: Json, base: string): string | undefined {
  const link = listAt(page, 'link').find((candidate) => textAt(candidate, 'relation') === 'next');
  const url = textAt(link, 'url');
  if (url === undefined) return undefined;
  const absolute = URL.parse(url, `${base}/`)?.href ?? '';
  if (absolute.startsWith(`${base}/`) || absolute.startsWith(`${base}?`)) return absolute;
  throw new KeywardError('CLI_UPSTREAM', { detail: 'a page link leads to another server' });
}

async function fetchJson(agent: Agent, address: string, authorization: string | undefined): Promise<Json> {
  const headers = { accept: 'application/fhir+json', ...(authorization === undefined ? {} : { authorization }) };
  const { status, bytes } = await request(address, { dispatcher: agent, headers })
    .then(async ({ statusCode, body }) => ({ status: statusCode, bytes: await body.bytes() }))
    .catch((cause: unknown) => {
      throw new KeywardError('CLI_UPSTREAM', { detail: 'no answer', cause });
    });
  if (status !== 200) throw new KeywardError('CLI_UPSTREAM', { detail: `status ${status}` });
  try {
    return parseJson(bytes, { maxDepth: MAX_DEPTH });
  } catch (cause) {
    throw new KeywardError('CLI_UPSTREAM', { detail: asKeywardError(cause).code, cause });
  }
}

/** A header that must not stand in a command line, where other users of the machine see it. */
export function readAuthorization(
  { environment, file }: { readonly environment: string | undefined; readonly file: string | undefined },
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (environment === undefined && file === undefined) return undefined;
  if (environment !== undefined && file !== undefined)
    throw new KeywardError('CLI_USAGE', { detail: '--authorization-env and --authorization-file exclude each other' });
  const value = environment === undefined ? readHeader(file ?? '') : env[environment];
  if (value !== undefined && /^\S[\x20-\x7e]*$/.test(value.trim())) return value.trim();
  throw new KeywardError('CLI_USAGE', { detail: 'the Authorization header that was named is empty or no single line' });
}

function readHeader(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new KeywardError('CLI_USAGE', { detail: 'the file of the Authorization header cannot be read', cause });
  }
}
