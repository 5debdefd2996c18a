/** Reads a few Services again, by lists that are as consistent as the first ones and newer. */

import { keyOf, type ServiceKey, type ServiceQuery, servicesParams, slicesParams } from '../service-query.ts';
import type { KubernetesSettings } from '../settings.ts';
import { ownerKey } from '../view.ts';
import type { Api } from './api.ts';
import { type EndpointSlice, endpointSlice, type Service, service } from './objects.ts';
import { list } from './reflect.ts';
import { endpointSlices, services } from './resources.ts';

export type SecondRead = {
  /** Only the Services that seemed absent: the others are known from the watch. */
  readonly services: ReadonlyMap<ServiceKey, Service>;
  readonly slices: ReadonlyMap<ServiceKey, readonly EndpointSlice[]>;
};

export type Rereading = {
  readonly api: Api;
  /** Null: the whole cluster. */
  readonly namespace: string | null;
  readonly settings: KubernetesSettings;
  readonly signal: AbortSignal;
};

/** One query about the slices of all, and one about each of those that are `absent`. */
export async function readAgain(
  { settings, ...where }: Rereading,
  asked: readonly ServiceQuery[],
  absent: readonly ServiceQuery[],
): Promise<SecondRead> {
  const slices = new Map<ServiceKey, EndpointSlice[]>();
  const names = [...new Set(asked.map((query) => query.service))];
  const params = slicesParams(settings, names);
  const isWanted = (): boolean => true;
  const { objects } = await list({ ...where, resource: endpointSlices, params, schema: endpointSlice, isWanted });
  for (const slice of objects) {
    const key = ownerKey(slice);
    if (key !== undefined) slices.set(key, [...(slices.get(key) ?? []), slice]);
  }
  const found = new Map<ServiceKey, Service>();
  for (const query of absent) {
    const { namespace } = query;
    const only = servicesParams(settings, [query.service]);
    const asked = { ...where, namespace, resource: services, params: only, schema: service, isWanted };
    const [one] = (await list(asked)).objects;
    if (one !== undefined) found.set(keyOf(namespace, query.service), one);
  }
  return { services: found, slices };
}
