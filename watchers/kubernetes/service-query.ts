/** Queries with the Service that each is about, and the selectors that let the server send little else. Pure. */

import type { Query } from '../../src/model.ts';
import type { Params } from './api/api.ts';
import { serviceNameLabel } from './api/objects.ts';
import { type KubernetesQuery, type KubernetesSettings, kubernetesQuery } from './settings.ts';

/** The name of a Service among those of all namespaces: NAMESPACE/NAME. */
export type ServiceKey = string;

/** A query and the Service that it means. */
export type ServiceQuery = Query<KubernetesQuery> & { readonly namespace: string; readonly service: string };

type Selectors = Pick<KubernetesSettings, 'labelSelector' | 'fieldSelector'>;

export function keyOf(namespace: string, service: string): ServiceKey {
  return `${namespace}/${service}`;
}

/** Among `namespaces`: all there are. */
export const everywhere = 'all';

/** Why it is not even asked; undefined where it is. */
export function refusalOf(
  { settings: { namespace: written }, namespace, service }: ServiceQuery,
  { namespaces, namespace: own }: KubernetesSettings,
): string | undefined {
  if (!kubernetesQuery.shape.service.safeParse(service).success)
    return `${JSON.stringify(service)} cannot be the name of a Service: write the query's \`service\``;
  // Where the query names nothing, the watcher's settings have done so.
  const isFree = written === undefined || namespaces === undefined || namespace === own;
  if (isFree || namespaces.includes(everywhere) || namespaces.includes(namespace)) return undefined;
  return `the watcher's \`namespaces\` do not include ${namespace}`;
}

/** The most names in one selector: every proxy takes a URL of that length. Where there are more, the whole namespace is read. */
export const namesAtOnce = 50;

/** `names` null: any. Fields can be equal to one value only: with several names all Services are read, which are small. */
export function servicesParams({ labelSelector, fieldSelector }: Selectors, names: readonly string[] | null): Params {
  const [only, second] = names ?? [];
  return params({
    labelSelector: [labelSelector],
    fieldSelector: [fieldSelector, only !== undefined && second === undefined ? `metadata.name=${only}` : undefined],
  });
}

/** The control plane writes the labels of a Service on its slices as well. */
export function slicesParams({ labelSelector }: Selectors, names: readonly string[] | null): Params {
  const ours =
    names !== null && names.length <= namesAtOnce ? `${serviceNameLabel} in (${names.join(',')})` : undefined;
  return params({ labelSelector: [labelSelector, ours] });
}

function params(selectors: Readonly<Record<string, readonly (string | undefined)[]>>): Params {
  return Object.fromEntries(
    Object.entries(selectors).flatMap(([name, parts]): [string, string][] => {
      const given = parts.filter((part) => part !== undefined);
      return given.length === 0 ? [] : [[name, given.join(',')]];
    }),
  );
}
