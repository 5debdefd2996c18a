/** What is known of the Services and EndpointSlices of one namespace, or of all, and what that says of a Service. Pure. */

import type { EndpointSlice, Service } from './api/objects.ts';
import type { Change } from './api/reflect.ts';
import { type Choice, type Selected, selectEndpoints } from './endpoints.ts';
import { keyOf, type ServiceKey } from './service-query.ts';

export type Result =
  | Selected
  /** There is no such Service. */
  | { readonly kind: 'absent' };

/** Keeps only what belongs to one of the Services that it was made for; null: to any. */
export class View {
  readonly #wanted: ReadonlySet<ServiceKey> | null;
  #services: Map<ServiceKey, Service> | undefined;
  /** By Service, then by name of the slice. */
  #slices: Map<ServiceKey, Map<string, EndpointSlice>> | undefined;
  readonly #current = new Set<'services' | 'slices'>();
  /** The Service of each slice: a label may change. */
  readonly #owners = new Map<string, ServiceKey>();

  constructor(wanted: ReadonlySet<ServiceKey> | null) {
    this.#wanted = wanted;
  }

  readonly wantsService = (service: Service): boolean => this.#isWanted(serviceKey(service));

  readonly wantsSlice = (slice: EndpointSlice): boolean => {
    const owner = ownerKey(slice);
    return owner !== undefined && this.#isWanted(owner);
  };

  /** Whether both lists have been read, or confirmed, since the last `doubt`. */
  get isComplete(): boolean {
    return this.#current.size === 2;
  }

  /** The known state may be outdated: it is kept, and counts again once it is read again or confirmed. */
  doubt(): void {
    this.#current.clear();
  }

  confirm(what: 'services' | 'slices'): void {
    this.#current.add(what);
  }

  /** Replaces everything in one step, so that no half of it is ever seen. */
  replaceServices(all: readonly Service[]): void {
    this.#current.add('services');
    this.#services = new Map(all.filter(this.wantsService).map((one) => [serviceKey(one), one]));
  }

  replaceSlices(all: readonly EndpointSlice[]): void {
    this.#current.add('slices');
    this.#slices = new Map();
    this.#owners.clear();
    for (const slice of all) this.#put(this.#slices, slice);
  }

  /** Those of these Services that are others than before, perhaps of the same name. */
  createdIn(changes: readonly Change<Service>[]): readonly ServiceKey[] {
    return changes
      .filter(({ kind, object }) => kind === 'put' && this.wantsService(object))
      .map(({ object }) => [serviceKey(object), object.metadata.uid] as const)
      .filter(([key, uid]) => this.service(key)?.metadata.uid !== uid || !this.#services?.has(key))
      .map(([key]) => key);
  }

  /** Returns the Services about which something may have changed. */
  changeServices(changes: readonly Change<Service>[]): ReadonlySet<ServiceKey> {
    const touched = changes.filter(({ object }) => this.wantsService(object));
    this.#services ??= new Map();
    for (const { kind, object } of touched) {
      if (kind === 'put') this.#services.set(serviceKey(object), object);
      else this.#services.delete(serviceKey(object));
    }
    return new Set(touched.map(({ object }) => serviceKey(object)));
  }

  changeSlices(changes: readonly Change<EndpointSlice>[]): ReadonlySet<ServiceKey> {
    const touched = new Set<string>();
    this.#slices ??= new Map();
    for (const { kind, object } of changes) {
      const before = this.#owners.get(sliceKey(object));
      if (before !== undefined) {
        const its = this.#slices.get(before);
        its?.delete(object.metadata.name);
        if (its?.size === 0) this.#slices.delete(before);
        this.#owners.delete(sliceKey(object));
        touched.add(before);
      }
      if (kind === 'put') this.#put(this.#slices, object);
      const now = this.#owners.get(sliceKey(object));
      if (now !== undefined) touched.add(now);
    }
    return touched;
  }

  get services(): Iterable<ServiceKey> {
    return this.#services?.keys() ?? [];
  }

  service(key: ServiceKey): Service | undefined {
    return this.#services?.get(key);
  }

  hasSlices(key: ServiceKey): boolean {
    return this.#slices?.has(key) ?? false;
  }

  result(key: ServiceKey, choice: Choice): Result {
    return resultFrom(this.service(key), [...(this.#slices?.get(key)?.values() ?? [])], choice);
  }

  #isWanted(key: ServiceKey): boolean {
    return this.#wanted === null || this.#wanted.has(key);
  }

  #put(slices: Map<ServiceKey, Map<string, EndpointSlice>>, slice: EndpointSlice): void {
    const key = ownerKey(slice);
    if (key === undefined || !this.#isWanted(key)) return;
    this.#owners.set(sliceKey(slice), key);
    const others = slices.get(key);
    if (others === undefined) slices.set(key, new Map([[slice.metadata.name, slice]]));
    else others.set(slice.metadata.name, slice);
  }
}

/** Whether the result is "no endpoints"; a refused query is not. */
export function isEmpty(result: Result): boolean {
  return result.kind === 'absent' || (result.kind === 'endpoints' && result.endpoints.length === 0);
}

export function resultFrom(service: Service | undefined, slices: readonly EndpointSlice[], choice: Choice): Result {
  return service === undefined ? { kind: 'absent' } : selectEndpoints(service, slices, choice);
}

/** Undefined where the slice belongs to no Service. */
export function ownerKey({ metadata: { namespace, labels } }: EndpointSlice): ServiceKey | undefined {
  return labels.service === undefined ? undefined : keyOf(namespace, labels.service);
}

function serviceKey({ metadata: { namespace, name } }: Service): ServiceKey {
  return keyOf(namespace, name);
}

function sliceKey({ metadata: { namespace, name } }: EndpointSlice): string {
  return keyOf(namespace, name);
}
