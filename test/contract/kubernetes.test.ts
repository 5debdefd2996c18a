/** The contract with a real Kubernetes control plane, seen through a proxy that can be told to fail. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kubernetes } from '../../watchers/kubernetes/index.ts';
import {
  type DiscoverySubject,
  discoversByTheContract,
  holdsTheContract,
  type Subject,
  watchOf,
} from '../../watchers/public/contract.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { startKubernetes } from '../servers/kubernetes.ts';
import { forFile } from '../support/for-file.ts';
import { tempFolder, until } from '../support/index.ts';
import { kubeconfigText } from '../support/kubernetes/kubeconfig.ts';
import { deleteSlice, putService, putSlice } from '../support/kubernetes/services.ts';
import { servesWithinLimits } from '../support/within-limits.ts';

const cluster = await forFile(startKubernetes());
await cluster.namespace('shop');
const token = await cluster.token('shop');

let subjects = 0;

async function makeSubject(): Promise<Subject> {
  const proxy = await startFaultProxy(cluster.address);
  const folder = await tempFolder();
  const kubeconfig = join(folder.path, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigText(proxy.address, { token }, { namespace: 'shop' }));
  // One cluster serves all tests: the names tell them apart.
  const prefix = `subject-${subjects++}-`;
  const slices = new Map<string, readonly string[]>();
  const nameOf = (service: string, address: string): string => `${prefix}${service}-${address.replace(/[.:]/g, '-')}`;
  const write = (service: string, text: string, ready: boolean): Promise<void> => {
    const [address, port] = text.split(':');
    return putSlice(cluster, 'shop', prefix + service, nameOf(service, text), {
      endpoints: [{ addresses: [address], conditions: { ready } }],
      ports: [{ port: Number(port) }],
    });
  };
  return {
    // A short limit, so that silence is noticed soon.
    watch: await watchOf(kubernetes, { kubeconfig, idleTimeout: '2s' }),
    settings: (service) => ({ service: prefix + service }),
    async put(service, addresses) {
      await putService(cluster, 'shop', prefix + service, { ports: [{ port: 80 }] });
      for (const old of slices.get(service) ?? [])
        if (!addresses.includes(old)) await deleteSlice(cluster, 'shop', nameOf(service, old));
      for (const text of addresses) await write(service, text, true);
      slices.set(service, addresses);
    },
    async judge(service, unfit) {
      for (const text of slices.get(service) ?? []) await write(service, text, !unfit.includes(text));
    },
    fail: async () => proxy.spoil({ kind: 'status', status: 500, body: 'etcd is away' }, { breakOff: true }),
    mend: async () => proxy.spoil(null),
    async flicker(service) {
      // What a server that lost its mind, or a controller that writes its slices anew, would make of it.
      for (const text of slices.get(service) ?? []) {
        const path = `/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/${nameOf(service, text)}`;
        const object = { ...((await cluster.api('GET', path)) as object), endpoints: [] };
        const line = JSON.stringify({ type: 'MODIFIED', object });
        // The watch is opened after the list, which has told of the endpoints already.
        await until('a watch is told', () => {
          proxy.inject((url) => url.pathname.endsWith('/endpointslices') && url.searchParams.has('watch'), line);
          return true;
        });
      }
    },
    connections: {
      budget: 3,
      open: () => proxy.connections.open,
      most: () => proxy.connections.most,
      fallSilent: async () => {
        proxy.freeze();
        proxy.spoil({ kind: 'silent' });
      },
    },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function makeDiscoverySubject(): Promise<DiscoverySubject> {
  const proxy = await startFaultProxy(cluster.address);
  const folder = await tempFolder();
  const kubeconfig = join(folder.path, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigText(proxy.address, { token }, { namespace: 'shop' }));
  const prefix = `subject-${subjects++}-`;
  const labels = { expose: `${prefix}yes` };
  return {
    watch: await watchOf(kubernetes, { kubeconfig, idleTimeout: '2s' }),
    query: { labels, namespace: 'shop' },
    nameOf: (service) => `shop:${prefix}${service}`,
    async offer(service, options, addresses) {
      const annotations = Object.fromEntries(
        Object.entries(options).map(([option, value]) => [`myelin.dev/${option}`, value]),
      );
      await putService(cluster, 'shop', prefix + service, { ports: [{ port: 80 }] }, { labels, annotations });
      const ports = addresses.map((text) => ({ port: Number(text.split(':')[1]) }));
      const endpoints = addresses.map((text) => ({ addresses: [text.split(':')[0]] }));
      await putSlice(cluster, 'shop', prefix + service, prefix + service, { endpoints, ports });
    },
    // The Service stays, without the label.
    withdraw: (service) =>
      putService(cluster, 'shop', prefix + service, { ports: [{ port: 80 }] }, { labels: { expose: null } }),
    fail: async () => proxy.spoil({ kind: 'status', status: 500, body: 'etcd is away' }, { breakOff: true }),
    mend: async () => proxy.spoil(null),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

holdsTheContract('Kubernetes', makeSubject, {
  failsBy: 'throwing',
  connections: true,
  addresses: ['192.0.2.1:9001', '192.0.2.2:9002'],
});
discoversByTheContract('Kubernetes', makeDiscoverySubject, {
  failsBy: 'throwing',
  addresses: ['192.0.2.1:9001', '192.0.2.2:9002'],
});
servesWithinLimits('Kubernetes', makeDiscoverySubject, {
  watcher: '{ type: kubernetes, namespace: shop }',
  keys: 'labels: { expose: "true" }, ',
  address: '192.0.2.1:9001',
});
