/** Which addresses of a cluster HAProxy gets: of both families as configured, and none that would reach this machine or a cloud's credentials. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { type Cluster, startKubernetes } from '../servers/kubernetes.ts';
import { type Pods, podPort, startPods } from '../servers/pods.ts';
import { steadyLoad } from '../servers/steady.ts';
import { until } from '../support/index.ts';
import { putNode, putSlice } from '../support/kubernetes.ts';
import { kubernetesSite, namespace } from '../support/kubernetes-site.ts';
import { inOwnNetwork } from '../support/own-network.ts';
import { assertValid, servedBy, serversOf } from '../support/traffic.ts';

inOwnNetwork(import.meta.filename, () => {
  let pods: Pods;
  let cluster: Cluster;
  before(async () => {
    [pods, cluster] = await Promise.all([startPods(['alpha', 'beta']), startKubernetes()]);
    await cluster.namespace(namespace);
    await putNode(cluster, 'node-1', 'za');
  });
  after(() => Promise.all([pods[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]));

  const ports = [{ port: podPort }];

  const families: Readonly<Record<string, readonly string[]>> = {
    prefer4: ['192.0.2.1:8080 1'],
    prefer6: ['2001:db8::1:8080 1'],
    both: ['192.0.2.1:8080 1', '2001:db8::1:8080 1'],
  };
  for (const [family, expected] of Object.entries(families))
    test(`of a pod with both families HAProxy has what ${family} says, and a Service of one family is served by it`, async () => {
      const service = `dual-${family}`;
      await using my = await kubernetesSite(cluster, pods, service, { watcher: `family: ${family}` });
      const targetRef = { kind: 'Pod', name: 'alpha' };
      for (const [addressType, address] of [
        ['IPv4', '192.0.2.1'],
        ['IPv6', '2001:db8::1'],
      ] as const)
        await putSlice(cluster, namespace, service, `${service}-${addressType.toLowerCase()}`, {
          addressType,
          endpoints: [{ addresses: [address], targetRef }],
          ports,
        });
      await my.start();
      await until('they are in the file', async () => String(await serversOf(my.place, 'web')) === String(expected));
      await assertValid(my.place);
    });

  // What the API server lets pass.
  const accepted = {
    IPv4: ['168.63.129.16', '100.100.100.200', '192.0.0.192', '224.0.1.1', '255.255.255.255'],
    IPv6: ['fd00:ec2::254', 'fd20:ce::254', '64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe', '::7f00:1', 'ff05::1'],
  };
  // What it refuses itself; somebody else may stand in its place.
  const injected = ['127.0.0.1', '127.8.8.8', '169.254.169.254', '169.254.1.1', '0.0.0.0', '::1', '::', 'fe80::1'];

  test('loopback, link-local, multicast and metadata addresses are refused by name, and the pod beside them serves', async () => {
    await using proxy = await startFaultProxy(cluster.address);
    await using my = await kubernetesSite(cluster, pods, 'hostile', {
      server: proxy.address,
      watcher: 'family: both',
    });
    await my.run(['alpha']);
    for (const [addressType, addresses] of Object.entries(accepted))
      await putSlice(cluster, namespace, 'hostile', `hostile-${addressType.toLowerCase()}`, {
        addressType,
        endpoints: addresses.map((address) => ({ addresses: [address] })),
        ports,
      });
    const myelin = await my.start();
    await servedBy(my.port, 'alpha');
    await using load = steadyLoad(my.port);
    const all = Object.values(accepted).flat();
    const first = await myelin.until(
      'they are refused',
      ({ services: [web] }) => web?.endpoints.refused === all.length,
    );
    const reasons = first.services[0]?.refused.map(({ reason }) => reason).join('\n') ?? '';
    assert.match(
      reasons,
      /168\.63\.129\.16 is where a cloud hands out its metadata.*allowAddresses: \[168\.63\.129\.16\]/,
    );
    assert.match(reasons, /64:ff9b::7f00:1 stands for 127\.0\.0\.1, which is a loopback address/);

    for (const address of injected)
      await assert.rejects(
        putSlice(cluster, namespace, 'hostile', 'hostile-refused', {
          addressType: address.includes(':') ? 'IPv6' : 'IPv4',
          endpoints: [{ addresses: [address] }],
          ports,
        }),
        /HTTP 422/,
        address,
      );
    const slice = {
      metadata: {
        name: 'hostile-injected',
        namespace,
        resourceVersion: '1',
        labels: { 'kubernetes.io/service-name': 'hostile' },
      },
      addressType: 'IPv4',
      endpoints: injected.map((address) => ({ addresses: [address] })),
      ports,
    };
    proxy.inject((url) => url.pathname.endsWith('/endpointslices'), JSON.stringify({ type: 'ADDED', object: slice }));
    await myelin.until(
      'these are refused as well',
      ({ services: [web] }) => web?.endpoints.refused === all.length + injected.length,
    );
    assert.deepEqual(await serversOf(my.place, 'web'), ['192.0.2.1:8080 1']);
    await load.endsWithoutFailure();
  });
});
