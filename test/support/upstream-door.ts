/** The back door of an upstream: its FHIR API without the gateway in front, as its operator has it. */
import { Client } from 'undici';

export interface Door {
  /** FHIR base: `http://host:port/fhir`. */
  readonly url: string;
  readonly socketPath?: string;
}

export type Resource = { readonly resourceType: string; readonly id: string } & { readonly [name: string]: unknown };

interface Page {
  readonly entry?: readonly { readonly resource: Resource }[];
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
}

export class UpstreamDoor implements Disposable {
  readonly #client: Client;
  readonly #prefix: string;

  constructor({ url, socketPath }: Door) {
    const { origin, pathname } = new URL(url);
    this.#client = new Client(origin, socketPath === undefined ? {} : { socketPath });
    this.#prefix = pathname.replace(/\/$/, '');
  }

  [Symbol.dispose](): void {
    void this.#client.destroy();
  }

  async put(resource: Resource): Promise<void> {
    await this.#send('PUT', `${this.#prefix}/${resource.resourceType}/${resource.id}`, resource);
  }

  /** All at once, in one transaction. */
  async putAll(resources: readonly Resource[]): Promise<void> {
    const entry = resources.map((resource) => ({
      resource,
      request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` },
    }));
    await this.#send('POST', `${this.#prefix}/`, { resourceType: 'Bundle', type: 'transaction', entry });
  }

  async get(type: string, id: string): Promise<Resource> {
    return (await this.#send('GET', `${this.#prefix}/${type}/${id}`)) as Resource;
  }

  /** Every resource of a type as it is stored. */
  async all(type: string): Promise<Resource[]> {
    const found: Resource[] = [];
    for (let path: string | undefined = `${this.#prefix}/${type}?_count=500&_sort=_id`; path !== undefined; ) {
      const page = (await this.#send('GET', path)) as Page;
      found.push(...(page.entry ?? []).map(({ resource }) => resource));
      const next = page.link?.find(({ relation }) => relation === 'next');
      const url: URL | undefined = next && new URL(next.url);
      path = url && url.pathname + url.search;
    }
    return found;
  }

  async #send(method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#client.request({
      method,
      path,
      headers: { accept: 'application/fhir+json', 'content-type': 'application/fhir+json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode > 299) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 500)}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}
