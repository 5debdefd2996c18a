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
  const add: Registry['add'] = async (name, backend) => {
    // Headless: the range of virtual addresses is small.
    const spec = { clusterIP: 'None', ports: [{ port: 80 }] };
    const metadata = { labels: { expose: 'true' }, annotations: { 'myelin.dev/routes': `/${name}` } };
    await putService(cluster, namespace, name, spec, metadata);
    const slice = { endpoints: [{ addresses: [backend.address] }], ports: [{ port: backend.port }] };
    await putSlice(cluster, namespace, name, name, slice);
  };
  return {
    backendAddress: ownAddress,
    watcher: 'kubernetes: { kubeconfig: ./kubeconfig, maxShrink: { share: 1 } }',
    discover: 'kubernetes: { labels: { expose: "true" }, ',
    async prepare(place) {
      const credentials = { token: await cluster.token(namespace) };
      await place.write('kubeconfig', kubeconfigText(address, credentials, { caFile, namespace }));
    },
    async fill(names, backend) {
      for (let at = 0; at < names.length; at += 20)
        await Promise.all(names.slice(at, at + 20).map((name) => add(name, backend)));
    },
    add,
    remove: (name) => deleteService(cluster, namespace, name),
    clear: (name) => deleteSlice(cluster, namespace, name),
    told: async (name) => ({ at: watching.cameOf(name) }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
