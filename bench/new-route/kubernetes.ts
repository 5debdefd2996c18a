/** Services of a real API server, discovered by their label, with routes by annotation. */
import { startKubernetes } from '../../test/servers/kubernetes.ts';
import { kubeconfigText } from '../../test/support/kubernetes/kubeconfig.ts';
import {
  deleteService,
  deleteSlice,
  putService,
  putSlice,
  slicesPath,
} from '../../test/support/kubernetes/services.ts';
import { ownAddress } from '../../test/support/machine/own-network.ts';
import { startWatching } from '../watching.ts';
import type { Registry } from './registry.ts';

const namespace = 'shop';

export async function kubernetesRegistry(): Promise<Registry> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startKubernetes({ controllers: false }));
  await cluster.namespace(namespace);
  const { address, adminToken, caFile } = cluster;
  const url = `${address}${slicesPath(namespace)}?watch=true&resourceVersion=0`;
  const watching = stack.use(await startWatching({ url, token: adminToken }));
  const kept = stack.move();
  return {
    backendAddress: ownAddress,
    watcher: 'kubernetes: { kubeconfig: ./kubeconfig, maxShrink: { share: 1 } }',
    discover: 'kubernetes: { labels: { expose: "true" }, ',
    async prepare(place) {
      const credentials = { token: await cluster.token(namespace) };
      await place.write('kubeconfig', kubeconfigText(address, credentials, { caFile, namespace }));
    },
    async add(name, backend) {
      // Headless: the range of virtual addresses is small.
      const spec = { clusterIP: 'None', ports: [{ port: 80 }] };
      const metadata = { labels: { expose: 'true' }, annotations: { 'myelin.dev/routes': `/${name}` } };
      await putService(cluster, namespace, name, spec, metadata);
      const slice = { endpoints: [{ addresses: [backend.address] }], ports: [{ port: backend.port }] };
      await putSlice(cluster, namespace, name, name, slice);
    },
    remove: (name) => deleteService(cluster, namespace, name),
    clear: (name) => deleteSlice(cluster, namespace, name),
    told: async (name) => ({ at: watching.cameOf(name) }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
