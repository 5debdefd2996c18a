/** The Services that a query for many finds. One that was deleted is among them until that has been confirmed. Pure. */

import type { DiscoveredService, Query } from '../../src/model.ts';
import type { Service } from './api/objects.ts';
import { keyOf, type ServiceKey, type ServiceQuery } from './service-query.ts';
import { type KubernetesDiscovery, kubernetesQuery } from './settings.ts';

export class DiscoveredServices {
  readonly query: Query<KubernetesDiscovery>;
  readonly #discovered = new Map<ServiceKey, DiscoveredService>();

  constructor(query: Query<KubernetesDiscovery>) {
    this.query = query;
  }

  get all(): readonly DiscoveredService[] {
    return [...this.#discovered.values()];
  }

  /** What the Service says of itself now: it is discovered, it is not and never was, or not any more (`ended`). */
  note({ metadata }: Service): 'discovered' | 'ended' | 'none' {
    const { name, namespace, labels, options, creationTimestamp } = metadata;
    const key = keyOf(namespace, name);
    const isDiscovered = Object.entries(this.query.settings.labels).every(([label, value]) => labels[label] === value);
    if (!isDiscovered) return this.#discovered.delete(key) ? 'ended' : 'none';
    this.#discovered.set(key, {
      key: discoveredKey(key),
      // Neither part may hold a colon, nor may the names of services in the config's usual form.
      name: `${namespace}:${name}`,
      owner: namespace,
      createdAt: Date.parse(creationTimestamp ?? '') || 0,
      options,
    });
    return 'discovered';
  }

  /** It is gone for sure. Returns whether it was discovered. */
  drop(key: ServiceKey): boolean {
    return this.#discovered.delete(key);
  }
}

/** No service's name begins so. */
const discoveredMark = '*';
const discoveredKey = (key: ServiceKey): string => `${discoveredMark}${key}`;

export function isDiscovered({ key }: Pick<ServiceQuery, 'key'>): boolean {
  return key.startsWith(discoveredMark);
}

/** Of a name as people write it: NAMESPACE:NAME, or NAME where one namespace alone is watched; null: it may be in any. */
export function keyOfName(name: string, { namespace }: KubernetesDiscovery): string | null {
  const [first = '', second] = name.split(':', 2);
  if (second !== undefined)
    return namespace === undefined || namespace === first ? discoveredKey(keyOf(first, second)) : null;
  return namespace === undefined ? null : discoveredKey(keyOf(namespace, name));
}

/** Of a key that `isDiscovered`: the Service that it stands for. */
export function serviceOfKey(key: string): { readonly namespace: string; readonly service: string } {
  const [namespace = '', service = ''] = key.slice(discoveredMark.length).split('/');
  return { namespace, service };
}

/** The query for the endpoints of a discovered Service, which chooses its own port. */
export function queryFor({ metadata: { namespace, name, options } }: Service): ServiceQuery {
  // An invalid port is a reason to leave the service out, which other code decides.
  const { data: port } = kubernetesQuery.shape.port.safeParse(options.port);
  return {
    key: discoveredKey(keyOf(namespace, name)),
    settings: { service: name, namespace, ...(port !== undefined && { port }) },
    namespace,
    service: name,
  };
}
