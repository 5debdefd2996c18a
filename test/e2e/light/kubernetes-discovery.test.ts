/** Services that nobody listed come live with what they choose, and go; one that is wrong harms no other. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { type Cluster, startKubernetes } from '../../servers/kubernetes.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { deleteService, deleteSlice, putService, putSlice } from '../../support/kubernetes/services.ts';
import { answerOf } from '../../support/load/requests.ts';
import { assertValid, servedBy } from '../../support/load/traffic.ts';
import { inOwnNetwork, ownAddress } from '../../support/machine/own-network.ts';
import { type Workplace, workplace } from '../../support/sites/myelin.ts';

inOwnNetwork(import.meta.filename, () => {
  type Name = 'alpha' | 'beta';
  let backends: Awaited<ReturnType<typeof startBackends<Name>>>;
  let cluster: Cluster;
  before(async () => {
    [backends, cluster] = await Promise.all([startBackends(['alpha', 'beta'], ownAddress), startKubernetes()]);
  });
  after(() => Promise.all([backends[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]));

  /** A namespace with `oldest`, offered at a port of its own, and a Myelin that discovers, which has not been started. */
  async function discovered(namespace: string, { limits = '', rest = '', oldest = 'alpha' as Name } = {}) {
    await cluster.namespace(namespace);
    const [port, probes] = [await freePort(), await freePort()];
    const put = async (name: Name, annotations: object, labels: object = { expose: 'true' }): Promise<void> => {
      const spec = { ports: [{ port: 80 }] };
      await putService(cluster, namespace, name, spec, { labels, annotations });
      await putSlice(cluster, namespace, name, name, {
        endpoints: [{ addresses: [ownAddress] }],
        ports: [{ port: backends[name].port }],
      });
    };
    const listen = (at: number): object => ({ 'myelin.dev/listen': `${at}` });
    await put(oldest, listen(port));
    const place = await workplace(
      [
        'watchers: { cluster: { type: kubernetes, kubeconfig: ./kubeconfig } }',
        `discover: { cluster: { labels: { expose: "true" }, ports: "1024-65535"${limits} } }`,
        'haproxy: { log: none }',
        'reload: { minInterval: 0ms }',
        `probes: { listen: "127.0.0.1:${probes}" }`,
        rest,
        '',
      ].join('\n'),
    );
    const { caFile } = cluster;
    const token = await cluster.token(namespace);
    await place.write('kubeconfig', kubeconfigText(cluster.address, { token }, { caFile, namespace }));
    const metric = async (name: string): Promise<string | undefined> => {
      const page = await (await fetch(`http://127.0.0.1:${probes}/metrics`)).text();
      return page.split('\n').find((line) => line.startsWith(name));
    };
    return { place, port, put, listen, metric, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
  }

  const names = async (place: Workplace): Promise<readonly string[]> =>
    (await place.status()).services.map(({ name }) => name);

  test('a Service is served when it is labelled, as its annotations choose, and not when it is not any more', async () => {
    // So soon after a start it would be doubted that it vanished.
    await using my = await discovered('come-and-go', { limits: ', service: { onEmpty: accept }' });
    const { place, port, put, listen } = my;
    const myelin = place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    await servedBy(port, 'alpha');

    const [second, third] = [await freePort(), await freePort()];
    await put('beta', { ...listen(second), 'myelin.dev/balance': 'leastconn' });
    await servedBy(second, 'beta');
    const written = await place.read('run/haproxy.cfg');
    const [, options] = /^backend come-and-go:beta from (http-leastconn-\S+)$/m.exec(written) ?? [];
    assert.match(written, new RegExp(`^defaults ${options} from .*\\n( {4}.*\\n)*? {4}balance leastconn$`, 'm'));
    await put('beta', listen(third));
    await servedBy(third, 'beta');
    await put('beta', listen(third), { expose: null });
    await until('it is served no more', async () => String(await names(place)) === 'come-and-go:alpha');
    await until('nor is it in the file', async () => !(await place.read('run/haproxy.cfg')).includes('beta'));
    await servedBy(port, 'alpha');
    await assertValid(place);

    const isWhy = (about: string, words: RegExp): Promise<unknown> =>
      until(`why ${about}: ${words}`, async () =>
        words.test((await place.command('why', `come-and-go:${about}`)).stdout),
      );
    await isWhy('alpha', /^come-and-go:alpha gets traffic\n[\s\S]*cluster names 1 instance, 1 of which may/);
    await isWhy(
      'beta',
      /^come-and-go:beta gets no traffic: .*beta lacks the label expose=true .*\nwhat to do: kubectl label service -n come-and-go beta expose=true\n/,
    );
    const endpoint = (conditions: object): Promise<unknown> =>
      putSlice(cluster, 'come-and-go', 'alpha', 'alpha', {
        endpoints: [{ addresses: [ownAddress], conditions }],
        ports: [{ port: backends.alpha.port }],
      });
    await endpoint({ ready: false });
    await isWhy('alpha', /^come-and-go:alpha gets no traffic: [\s\S]*gets no traffic: it is not ready/);
    await endpoint({ ready: false, serving: false, terminating: true });
    await isWhy('alpha', /^come-and-go:alpha gets no traffic: [\s\S]*it is terminating/);
    await endpoint({ ready: true });
    await put('alpha', { ...listen(port), 'myelin.dev/port': 'metrics' });
    await isWhy('alpha', /has no TCP port "metrics" \(it has 80\); what it said before serves on/);
    await deleteService(cluster, 'come-and-go', 'alpha');
    await isWhy('alpha', /there is no Service come-and-go\/alpha/);
  });

  test('a labelled Service that is wrong, or claims what an older one has, is left out alone: status and metrics say why', async () => {
    await using my = await discovered('wrong', { oldest: 'beta' });
    const { place, port, put, listen, metric } = my;
    // The cluster tells in whole seconds when it made something. By name the younger one is first.
    const second = Math.floor(Date.now() / 1000);
    await until('the next second', () => Math.floor(Date.now() / 1000) > second);
    const myelin = place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    await put('alpha', { ...listen(await freePort()), 'myelin.dev/mode': 'udp' });
    const { unserved } = await myelin.until('it is told', (status) => status.unserved.length === 1);
    assert.deepEqual(unserved, [
      { watcher: 'cluster', service: 'wrong:alpha', reason: 'mode: "udp" is not allowed; allowed: http, tcp' },
    ]);
    assert.equal(await metric('myelin_unserved_services'), 'myelin_unserved_services{watcher="cluster"} 1');
    const { stdout } = await place.command('status');
    assert.match(stdout, /^left out\n {2}wrong:alpha +discovered by cluster: mode: "udp" is not allowed/m);
    await put('alpha', { ...listen(port), 'myelin.dev/mode': null });
    await myelin.until('it is told what it claims', (status) =>
      / is taken by the service wrong:beta$/.test(status.unserved[0]?.reason ?? ''),
    );
    await servedBy(port, 'beta');

    await deleteSlice(cluster, 'wrong', 'beta');
    await deleteService(cluster, 'wrong', 'beta');
    // That beta vanished so soon after the start is doubted, unless somebody knows better.
    await myelin.until('it is doubted', ({ services }) => services[0]?.kept?.reason === 'emptied');
    assert.equal((await place.command('accept', 'wrong:beta')).exitCode, 0);
    await servedBy(port, 'alpha');
    assert.deepEqual((await place.status()).unserved, []);
  });

  test('a Service is reached by the routes of its annotation, within the limits, and a route may move to another Service', async () => {
    const shared = await freePort();
    await using my = await discovered('routed', {
      limits: ', hosts: ["*.example.com"], service: { onEmpty: accept }',
      rest: `frontends: { public: { bind: "127.0.0.1:${shared}" } }`,
    });
    const { place, put, listen } = my;
    const answer = (host: string, path: string): Promise<string> => answerOf(shared, host, path);
    const answers = (host: string, path: string, wanted: string): Promise<unknown> =>
      until(`${host}${path} is answered ${wanted}`, async () => (await answer(host, path)) === wanted);
    const routes = (text: string | null): object => ({ ...listen(my.port), 'myelin.dev/routes': text });
    const myelin = place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    await answers('shop.example.com', '/', '404');

    await put('alpha', routes('shop.example.com, shop.example.com/api'));
    await answers('shop.example.com', '/', 'alpha');
    assert.equal(await answer('SHOP.example.com.:80', '/api/x'), 'alpha');
    assert.equal(await answer('shop.example.org', '/'), '404');

    await put('beta', { 'myelin.dev/routes': 'shop.example.com/api' });
    await myelin.until('the younger one does not have it', ({ routesLeftOut }) => routesLeftOut.length === 1);
    assert.equal(await answer('shop.example.com', '/api'), 'alpha');
    await put('alpha', routes('shop.example.com'));
    await answers('shop.example.com', '/api', 'beta');
    assert.equal(await answer('shop.example.com', '/apix'), 'alpha');

    await put('beta', { 'myelin.dev/routes': 'shop.example.org' });
    const { unserved } = await myelin.until('it is told', (status) => status.unserved.length === 1);
    assert.match(unserved[0]?.reason ?? '', /shop\.example\.org/);
    await answers('shop.example.com', '/api', 'alpha');

    await put('alpha', routes('shop.example.com'), { expose: null });
    await answers('shop.example.com', '/', '404');
    await assertValid(place);
  });

  test('a Myelin that is restarted while the API server is away serves all that was offered, beyond startTimeout', async () => {
    await using my = await discovered('away', { rest: 'startTimeout: 2s' });
    const { place, port } = my;
    const first = place.run();
    await servedBy(port, 'alpha');
    await until('what is offered is written down', async () =>
      (await place.read('run/state/services.json')).includes('away:alpha'),
    );
    const file = await place.read('run/haproxy.cfg');
    const before = await place.status();
    await cluster.stopApiserver();
    first.kill('SIGTERM');
    assert.equal(await first.ended, 0);
    const again = place.run();
    const late = await again.until(
      'the start timeout is over',
      ({ startedAt, state }) => state === 'degraded' && Date.now() - startedAt > 2500,
    );
    assert.deepEqual(late.waitingFor, ['cluster']);
    await servedBy(port, 'alpha');
    assert.equal(await place.read('run/haproxy.cfg'), file);
    await cluster.startApiserver();
    const back = await again.until('all is well', ({ stateReasons }) => isApplied(stateReasons), 30_000);
    assert.equal(back.haproxy?.generation, before.haproxy?.generation, 'nothing was reloaded');
  });
});
