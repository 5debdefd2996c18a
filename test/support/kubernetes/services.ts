/** Services and EndpointSlices as tests write them, and a watcher that follows them with no more than its documented rights. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { supervise } from '../../../src/sources/supervise.ts';
import { withCommon } from '../../../watchers/kit/source.ts';
import { kubernetesQuery, kubernetesSettings } from '../../../watchers/kubernetes/settings.ts';
import { watchKubernetes } from '../../../watchers/kubernetes/watch.ts';
import { type Listening, listen } from '../../../watchers/public/listen.ts';
import type { Cluster } from '../../servers/kubernetes.ts';
import { tempFolder } from '../index.ts';
import { kubeconfigText } from './kubeconfig.ts';

export const slicesPath = (namespace: string): string =>
  `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;

/** `metadata`: labels and annotations; null takes one away. */
export async function putService(
  cluster: Cluster,
  namespace: string,
  name: string,
  spec: object,
  metadata: object = {},
): Promise<void> {
  await put(cluster, `/api/v1/namespaces/${namespace}/services`, name, { metadata: { name, ...metadata }, spec });
}

/** A slice of the test's own; the control plane leaves alone what it did not make. */
export async function putSlice(
  cluster: Cluster,
  namespace: string,
  service: string,
  name: string,
  slice: { readonly endpoints: readonly object[]; readonly ports: readonly object[]; readonly addressType?: string },
): Promise<void> {
  const labels = { 'kubernetes.io/service-name': service, 'endpointslice.kubernetes.io/managed-by': 'test' };
  await put(cluster, slicesPath(namespace), name, { metadata: { name, labels }, addressType: 'IPv4', ...slice });
}

export async function deleteSlice(cluster: Cluster, namespace: string, name: string): Promise<void> {
  await cluster.api('DELETE', `${slicesPath(namespace)}/${name}`);
}

/** Pods on a node that does not exist get no endpoints. */
export async function putNode(cluster: Cluster, name: string, zone: string): Promise<void> {
  await put(cluster, '/api/v1/nodes', name, { metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } } });
}

type Pod = {
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
  readonly node?: string;
  readonly ready?: boolean;
  /** Its own number of the port named `http`. */
  readonly port?: number;
};

/** What a kubelet would do: there is none, so the status is written here. */
export async function putPod(
  cluster: Cluster,
  namespace: string,
  name: string,
  { labels, addresses, node = 'node-1', ready = true, port = 80 }: Pod,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const spec = {
    nodeName: node,
    containers: [{ name: 'main', image: 'none', ports: [{ name: 'http', containerPort: port }] }],
  };
  try {
    await cluster.api('POST', path, { metadata: { name, labels }, spec });
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
  await cluster.api('PATCH', `${path}/${name}/status`, {
    status: {
      phase: 'Running',
      podIP: addresses[0],
      podIPs: addresses.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  });
}

/** `graceful`: it is told to go and stays, as long as no kubelet says that it has ended. */
export async function deletePod(cluster: Cluster, namespace: string, name: string, graceful = false): Promise<void> {
  const options = graceful ? {} : { gracePeriodSeconds: 0 };
  await cluster.api('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, options);
}

export async function deleteService(cluster: Cluster, namespace: string, name: string): Promise<void> {
  await cluster.api('DELETE', `/api/v1/namespaces/${namespace}/services/${name}`);
}

/** Writes the file as a whole, as kubelets and operators do. */
export async function replaceFile(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

function isConflict(error: unknown): boolean {
  return error instanceof Error && error.cause === 409;
}

async function put(cluster: Cluster, path: string, name: string, object: object): Promise<void> {
  try {
    await cluster.api('POST', path, object);
  } catch (error) {
    if (!isConflict(error)) throw error;
    await cluster.api('PATCH', `${path}/${name}`, object);
  }
}

type FollowOptions = {
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Default: the cluster itself. */
  readonly server?: string;
  /** The fields of the kubeconfig's user. Default: a token of the service account. */
  readonly credentials?: Readonly<Record<string, unknown>>;
};

/** Follows these queries in `namespace`, under supervision; the key of each is its name here. */
export async function followServices(
  cluster: Cluster,
  namespace: string,
  queries: Readonly<Record<string, object>>,
  { settings = {}, server = cluster.address, credentials }: FollowOptions = {},
): Promise<Listening> {
  const folder = await tempFolder();
  const kubeconfig = join(folder.path, 'kubeconfig');
  const user = credentials ?? { token: await cluster.token(namespace) };
  await writeFile(kubeconfig, kubeconfigText(server, user, { caFile: cluster.caFile, namespace }));
  const watch = watchKubernetes(withCommon(kubernetesSettings).parse({ kubeconfig, ...settings }), {});
  const asked = Object.entries(queries).map(([key, query]) => ({ key, settings: kubernetesQuery.parse(query) }));
  const heard = listen((signal) => supervise('kubernetes', (stop) => watch(asked, stop), { signal }));
  // Not a copy: some of what it tells changes.
  const stop = heard[Symbol.asyncDispose];
  return Object.defineProperty(heard, Symbol.asyncDispose, {
    value: async () => {
      await stop();
      await folder[Symbol.asyncDispose]();
    },
  });
}
