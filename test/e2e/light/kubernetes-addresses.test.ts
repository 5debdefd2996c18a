/** Which addresses of a cluster HAProxy gets: of both families as configured, and none that would reach this machine or a cloud's credentials. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runCommand } from '../../../src/lib/command.ts';
import { startFrontends } from '../../servers/backend.ts';
import { startFaultProxy } from '../../servers/fault-proxy.ts';
import { type Cluster, startKubernetes } from '../../servers/kubernetes.ts';
import { type Pods, podPort, startPods } from '../../servers/pods.ts';
import { steadyLoad } from '../../servers/steady.ts';
import { until } from '../../support/index.ts';
import { putNode, putSlice } from '../../support/kubernetes/services.ts';
import { assertValid, servedBy, serversOf } from '../../support/load/traffic.ts';
import { inOwnNetwork, ownAddress } from '../../support/machine/own-network.ts';
import { kubernetesSite, namespace } from '../../support/sites/kubernetes-site.ts';

/** For documentation, nobody's: this machine, in the network of the test. */
const address6 = '2001:db8::1';

inOwnNetwork(import.meta.filename, () => {
  let pods: Pods;
  let cluster: Cluster;
  /** `alpha` at its address of the other family, where it answers with another name. */
  let sixth: AsyncDisposable;
  before(async () => {
    const added = await runCommand(['ip', 'address', 'add', `${address6}/128`, 'dev', 'lo', 'nodad'], {
      timeoutMs: 5000,
    });
    assert.equal(added.status, 0, added.stderr);
    sixth = await startFrontends([
      [
        'frontend alpha6',
        `    bind [${address6}]:${podPort}`,
        '    http-request return status 200 content-type text/plain string alpha6',
      ].join('\n'),
    ]);
    [pods, cluster] = await Promise.all([startPods(['alpha', 'beta']), startKubernetes()]);
    await cluster.namespace(namespace);
    await putNode(cluster, 'node-1', 'za');
  });
  after(() => Promise.all([pods[Symbol.asyncDispose](), sixth[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]));

  const ports = [{ port: podPort }];

  const ofAlpha = {
    alpha: { addressType: 'IPv4', address: ownAddress, server: `${ownAddress}:${podPort} 1` },
    alpha6: { addressType: 'IPv6', address: address6, server: `${address6}:${podPort} 1` },
  } as const;
  type Answer = keyof typeof ofAlpha;

  /** Who answers where there is one family only, and where there are both. */
  const families: Readonly<Record<string, { readonly only: Answer; readonly both: readonly Answer[] }>> = {
    prefer4: { only: 'alpha6', both: ['alpha'] },
    prefer6: { only: 'alpha', both: ['alpha6'] },
    both: { only: 'alpha6', both: ['alpha', 'alpha6'] },
  };
  for (const [family, { only, both }] of Object.entries(families))
    test(`with ${family} a Service of one family is served by it, and of a pod with both families HAProxy has ${both.join(' and ')}`, async () => {
      const service = `dual-${family}`;
      await using my = await kubernetesSite(cluster, pods, service, { watcher: `family: ${family}` });
      const put = async (name: Answer): Promise<void> => {
        const { addressType, address } = ofAlpha[name];
        await putSlice(cluster, namespace, service, `${service}-${name}`, {
          addressType,
          endpoints: [{ addresses: [address], targetRef: { kind: 'Pod', name: 'alpha' } }],
          ports,
        });
      };
      const isInFile = async (names: readonly Answer[]): Promise<boolean> =>
        String(await serversOf(my.place, 'web')) === String(names.map((name) => ofAlpha[name].server));
      await put(only);
      await my.start();
      await servedBy(my.port, only);
      await until('it is in the file', () => isInFile([only]));
      for (const name of ['alpha', 'alpha6'] as const) if (name !== only) await put(name);
      await servedBy(my.port, ...both);
      await until('they are in the file', () => isInFile(both));
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
