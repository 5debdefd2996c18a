/** What the control plane says is what is served; while the API server is away, what it said last serves on and no request is lost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { type Cluster, startKubernetes } from '../../servers/kubernetes.ts';
import { ask, steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { deletePod, putNode, putPod, putService, putSlice } from '../../support/kubernetes/services.ts';
import { assertValid, servedBy, serversOf } from '../../support/load/traffic.ts';
import { inOwnNetwork, ownAddress } from '../../support/machine/own-network.ts';
import { workplace } from '../../support/sites/myelin.ts';

/** An outage of a minute takes a minute. */
const outageSeconds = Number(process.env.MYELIN_TEST_OUTAGE_SECONDS ?? 10);

inOwnNetwork(import.meta.filename, () => {
  const names = ['alpha', 'beta', 'gamma'] as const;
  type Name = (typeof names)[number];
  let backends: Awaited<ReturnType<typeof startBackends<Name>>>;
  let cluster: Cluster;
  before(async () => {
    [backends, cluster] = await Promise.all([startBackends(names, ownAddress), startKubernetes()]);
    await cluster.namespace('shop');
    await putNode(cluster, 'node-1', 'za');
  });
  after(() => Promise.all([backends[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]));

  /** Pods `SERVICE-NAME`, each with a number of its own for the port that the Service means by name. */
  async function pods(service: string, who: readonly Name[], ready = true): Promise<void> {
    for (const name of who)
      await putPod(cluster, 'shop', `${service}-${name}`, {
        labels: { app: service },
        addresses: [ownAddress],
        port: backends[name].port,
        ready,
      });
  }

  /** A Service and its pods, and a Myelin that has not been started. */
  async function served(service: string, ...who: readonly Name[]) {
    const port = await freePort();
    await putService(cluster, 'shop', service, {
      selector: { app: service },
      ports: [{ port: 80, targetPort: 'http' }],
    });
    await pods(service, who);
    const place = await workplace(
      [
        'watchers: { kubernetes: { kubeconfig: ./kubeconfig } }',
        `services: { web: { from: { kubernetes: { service: ${service} } }, bind: "127.0.0.1:${port}" } }`,
        'haproxy: { log: none }',
        'reload: { minInterval: 0ms }',
        'probes: { listen: "off" }',
        '',
      ].join('\n'),
    );
    const { caFile } = cluster;
    await place.write(
      'kubeconfig',
      kubeconfigText(cluster.address, { token: await cluster.token('shop') }, { caFile, namespace: 'shop' }),
    );
    return { place, port, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
  }

  const line = (name: Name, weight = 1): string => `${ownAddress}:${backends[name].port} ${weight}`;

  test('pods that come, fall ill, drain and leave: traffic follows and no request is lost', async () => {
    await using my = await served('web', 'alpha');
    const { place, port } = my;
    const myelin = place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    await servedBy(port, 'alpha');
    await using load = steadyLoad(port);

    await pods('web', ['beta', 'gamma']);
    await servedBy(port, 'alpha', 'beta', 'gamma');
    await pods('web', ['beta'], false);
    await servedBy(port, 'alpha', 'gamma');
    await pods('web', ['beta']);
    await servedBy(port, 'alpha', 'beta', 'gamma');
    await deletePod(cluster, 'shop', 'web-alpha', true);
    await servedBy(port, 'beta', 'gamma');
    const draining = [line('alpha', 0), line('beta'), line('gamma')].sort();
    await until('the file has followed', async () => String(await serversOf(place, 'web')) === String(draining));
    await deletePod(cluster, 'shop', 'web-alpha');
    await until('it left the file', async () => (await serversOf(place, 'web')).length === 2);
    await assertValid(place);
    await load.endsWithoutFailure();
  });

  test('run --once --no-apply writes a good file and exits 0 although one Service has a second port that nobody chose', async () => {
    await using my = await served('whole', 'alpha');
    const { place } = my;
    await putService(cluster, 'shop', 'vague', {
      ports: [
        { name: 'http', port: 80 },
        { name: 'admin', port: 9090 },
      ],
    });
    const config = (await place.read('myelin.yaml')).replace(
      /^services: \{(.*)\}$/m,
      'services: {$1, other: { from: { kubernetes: { service: vague } } } }\nstartTimeout: 60s',
    );
    await place.write('myelin.yaml', config);
    const { exitCode, stdout, stderr } = await place.command('run', '--once', '--no-apply');
    assert.equal(exitCode, 0, stdout + stderr);
    assert.match(stdout, /shop\/vague has several ports: name one/);
    assert.deepEqual(await serversOf(place, 'web'), [line('alpha')]);
    assert.deepEqual(await serversOf(place, 'other'), []);
    await assertValid(place);
  });

  test(`an API server that is away for ${outageSeconds} s: no request is lost, and what is new is served within five seconds`, async (t) => {
    await using my = await served('away', 'alpha', 'beta');
    const { place, port } = my;
    const myelin = place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    await servedBy(port, 'alpha', 'beta');
    const servers = await serversOf(place, 'web');
    await using load = steadyLoad(port);

    await cluster.stopApiserver();
    const stoppedAt = performance.now();
    const down = await myelin.until('the outage is told', ({ sources }) => sources[0]?.state === 'down');
    assert.match(down.sources[0]?.down?.reason ?? '', /^Kubernetes at https:/);
    await until(`${outageSeconds} s have passed`, () => performance.now() - stoppedAt > outageSeconds * 1000, {
      withinMs: outageSeconds * 1000 + 20_000,
      everyMs: 100,
    });
    assert.deepEqual(await serversOf(place, 'web'), servers);

    await cluster.startApiserver();
    // By hand: the controllers take their time to come back, which is not ours.
    await putSlice(cluster, 'shop', 'away', 'away-gamma', {
      endpoints: [{ addresses: [ownAddress] }],
      ports: [{ port: backends.gamma.port }],
    });
    const changedAt = performance.now();
    await until('the new one answers', async () => (await ask(port)) === 'gamma');
    const tookMs = Math.round(performance.now() - changedAt);
    t.diagnostic(`${tookMs} ms from the change to its first answer`);
    assert.ok(tookMs <= 5000, `${tookMs} ms`);
    await servedBy(port, 'alpha', 'beta', 'gamma');
    await load.endsWithoutFailure();
  });
});
