/** The door to @peculiar/x509, opened only when a certificate is issued: it is slow to load and seldom needed. */

type MetadataStore = WeakMap<object, Map<unknown, unknown>>;

/** What tsyringe, which @peculiar/x509 is built on, asks of the `reflect-metadata` polyfill. */
interface ReflectMetadata {
  defineMetadata?: (name: unknown, value: unknown, target: object) => void;
  getOwnMetadata?: (name: unknown, target: object) => unknown;
  getMetadata?: (name: unknown, target: object) => unknown;
}

export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  provideMetadata(Reflect as ReflectMetadata);
  return import('@peculiar/x509');
}

/** Three functions in place of a polyfill package; one that is there already is left alone. */
function provideMetadata(reflect: ReflectMetadata): void {
  if (reflect.getMetadata) return;
  const store: MetadataStore = new WeakMap();
  reflect.defineMetadata = (name, value, target) => {
    store.set(target, (store.get(target) ?? new Map<unknown, unknown>()).set(name, value));
  };
  reflect.getOwnMetadata = (name, target) => store.get(target)?.get(name);
  reflect.getMetadata = (name, target) => inherited(store, name, target);
}

function inherited(store: MetadataStore, name: unknown, target: object): unknown {
  for (let owner: object | null = target; owner; owner = Object.getPrototypeOf(owner) as object | null) {
    const value = store.get(owner)?.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}
