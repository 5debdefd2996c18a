/** Services that are created in a real Kubernetes come, change and go while each of them is asked. */
import { test } from 'node:test';
import { startKubernetes } from '../../servers/kubernetes.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { deleteService, deleteSlice, putService, putSlice } from '../../support/kubernetes/services.ts';
import { comeChangeAndGo, type NewServices } from '../../support/load/new-services.ts';
import { inOwnNetwork, ownAddress } from '../../support/machine/own-network.ts';

const namespace = 'shop';

/** No controllers: the slices are written here, each after its Service. */
async function inKubernetes(): Promise<NewServices> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startKubernetes({ controllers: false }));
  await cluster.namespace(namespace);
  const created = new Set<string>();
  const kept = stack.move();
  return {
    backendAddress: ownAddress,
    watcher: 'kubernetes: { kubeconfig: ./kubeconfig',
    discover: 'kubernetes: { labels: { expose: "true" }',
    async prepare(place) {
      const { address, caFile } = cluster;
      const credentials = { token: await cluster.token(namespace) };
      await place.write('kubeconfig', kubeconfigText(address, credentials, { caFile, namespace }));
    },
    async put(name, { address, port }) {
      // Headless: the range of virtual addresses is small.
      const spec = { clusterIP: 'None', ports: [{ port: 80 }] };
      const metadata = { labels: { expose: 'true' }, annotations: { 'myelin.dev/routes': `/${name}` } };
      if (!created.has(name)) await putService(cluster, namespace, name, spec, metadata);
      created.add(name);
      await putSlice(cluster, namespace, name, name, { endpoints: [{ addresses: [address] }], ports: [{ port }] });
    },
    async remove(name) {
      await deleteService(cluster, namespace, name);
      await deleteSlice(cluster, namespace, name);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

inOwnNetwork(import.meta.filename, () => {
  test('1,000 Services that are created in Kubernetes come, change and go under load in one process of HAProxy 3.4, each answer as it should be', (t) =>
    comeChangeAndGo(t, '3.4', inKubernetes, { count: 1000, inFlight: 50, minIntervalMs: 2000, isOneProcess: true }));
});
