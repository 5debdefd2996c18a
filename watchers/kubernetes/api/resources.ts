/** The two kinds of objects that are read, and where the API has them. */
export type Resource = {
  /** '' is the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
};

export const services: Resource = { group: '', version: 'v1', plural: 'services' };
export const endpointSlices: Resource = { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' };
/** Asked for where people want to know why a Service has no endpoints, and nowhere else. */
export const pods: Resource = { group: '', version: 'v1', plural: 'pods' };
export const resources: readonly Resource[] = [services, endpointSlices];

/** `namespace` null: of the whole cluster. */
export function pathOf({ group, version, plural }: Resource, namespace: string | null): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespace === null ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}
