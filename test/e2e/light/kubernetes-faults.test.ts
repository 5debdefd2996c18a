/** Trouble between Myelin and the API server, under load: what was told last serves on, no request is lost, and what is new is served soon after. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import timers from 'node:timers/promises';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { type FaultProxy, startFaultProxy } from '../../servers/fault-proxy.ts';
import { type Cluster, startKubernetes } from '../../servers/kubernetes.ts';
import { type Pods, podPort, startPods } from '../../servers/pods.ts';
import { ask, type SteadyLoad, steadyLoad } from '../../servers/steady.ts';
import { until } from '../../support/index.ts';
import { watcherRules } from '../../support/kubernetes/kubeconfig.ts';
import { deleteSlice, putNode, putSlice } from '../../support/kubernetes/services.ts';
import { servedBy } from '../../support/load/traffic.ts';
import { inOwnNetwork } from '../../support/machine/own-network.ts';
import { type KubernetesSite, kubernetesSite, namespace } from '../../support/sites/kubernetes-site.ts';
import type { MyelinProcess } from '../../support/sites/myelin.ts';

inOwnNetwork(import.meta.filename, () => {
  let pods: Pods;
  let cluster: Cluster;
  before(async () => {
    [pods, cluster] = await Promise.all([startPods(['alpha', 'beta', 'gamma']), startKubernetes()]);
    await cluster.namespace(namespace);
    await putNode(cluster, 'node-1', 'za');
  });
  after(() => Promise.all([pods[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]));

  /** By hand: the controllers of the cluster have their own troubles. */
  function putGamma(service: string): Promise<void> {
    return putSlice(cluster, namespace, service, `${service}-gamma`, {
      endpoints: [{ addresses: [pods.addressOf('gamma')] }],
      ports: [{ port: podPort }],
    });
  }

  /** The servers that HAProxy itself has, in the order of their addresses, each with its weight and states. */
  async function serversNow(socket: string): Promise<string> {
    const { rows } = await readServersState(socket);
    return rows
      .filter((row) => row.be_name === 'web')
      .map((row) => `${row.srv_addr}:${row.srv_port} ${row.srv_uweight} ${row.srv_op_state} ${row.srv_admin_state}`)
      .sort()
      .join('\n');
  }

  type Seen = AsyncDisposable & {
    /** Each set of servers that it had. */
    readonly sets: ReadonlySet<string>;
    moreLooks(count: number): Promise<void>;
  };

  /** Looks every 20 ms: who is lost for a moment only is missed by one look at the end, and by the file. */
  function watchServers(socket: string): Seen {
    const ended = new AbortController();
    const sets = new Set<string>();
    let looks = 0;
    const look = async (): Promise<void> => {
      while (!ended.signal.aborted) {
        sets.add(await serversNow(socket).catch(String));
        looks += 1;
        await timers.setTimeout(20);
      }
    };
    const looking = look();
    return {
      sets,
      async moreLooks(count) {
        const goal = looks + count;
        await until(`${count} more looks`, () => looks >= goal);
      },
      async [Symbol.asyncDispose]() {
        ended.abort();
        await looking;
      },
    };
  }

  type Trouble = AsyncDisposable & {
    readonly site: KubernetesSite;
    readonly myelin: MyelinProcess;
    readonly proxy: FaultProxy;
    readonly load: SteadyLoad;
    /** The next request goes to the API server over a new connection. */
    breakOff(): void;
    /** HAProxy is looked at for some more time: it has had nothing but the servers of the start, and nothing was reloaded. */
    lostNothing(looks?: number): Promise<void>;
    /** `gamma` is there from now on; how long until it answers, and that nothing was lost so far. */
    serveGamma(): Promise<number>;
  };

  /** `alpha` and `beta` are served under load, followed through a proxy. */
  async function inTrouble(service: string, watcher = '', token: string | null = null): Promise<Trouble> {
    await using stack = new AsyncDisposableStack();
    const proxy = stack.use(await startFaultProxy(cluster.address));
    const site = stack.use(await kubernetesSite(cluster, pods, service, { server: proxy.address, watcher }));
    await site.run(['alpha', 'beta']);
    if (token !== null) await site.replaceToken(token);
    const myelin = await site.start();
    await servedBy(site.port, 'alpha', 'beta');
    const { haproxy } = await site.place.status();
    const socket = haproxy?.socket ?? '';
    const [servers, reloads] = [await serversNow(socket), await site.reloads()];
    for (const name of ['alpha', 'beta']) assert.ok(servers.includes(`${pods.addressOf(name)}:${podPort} `), servers);
    const seen = stack.use(watchServers(socket));
    await until('both resources are watched', () => proxy.underway >= 2);
    const load = stack.use(steadyLoad(site.port));
    const kept = stack.move();
    return {
      site,
      myelin,
      proxy,
      load,
      breakOff: () => proxy.spoil(null, { breakOff: true }),
      async lostNothing(looks = 10) {
        await seen.moreLooks(looks);
        assert.deepEqual([...seen.sets], [servers]);
        assert.equal(await site.reloads(), reloads);
      },
      async serveGamma() {
        await putGamma(service);
        const changedAt = performance.now();
        await until('gamma answers', async () => (await ask(site.port)) === 'gamma');
        const tookMs = performance.now() - changedAt;
        await servedBy(site.port, 'alpha', 'beta', 'gamma');
        await load.endsWithoutFailure();
        // Gamma came, and nobody left.
        assert.deepEqual([...seen.sets].slice(0, 1), [servers]);
        for (const set of seen.sets) assert.ok(set.startsWith(servers), set);
        assert.equal(await site.reloads(), reloads);
        return tookMs;
      },
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  }

  const soonMs = 5000;

  test('etcd forgets its history while the stream is dead: the 410 leads to a new list, and what is new is served at once', async (t) => {
    await using my = await inTrouble('compacted', 'idleTimeout: 60s');
    my.proxy.freeze();
    // Somebody comes and goes while we do not see it: our place in the history is one that will be gone.
    await putGamma('compacted');
    await deleteSlice(cluster, namespace, 'compacted-gamma');
    // The cache of the API server remembers longer than etcd.
    await cluster.stopApiserver();
    await cluster.compact();
    await cluster.startApiserver();
    const asked = my.proxy.requests.length;
    my.breakOff();
    await until('it was listed anew', () =>
      my.proxy.requests.slice(asked).some(({ pathname, searchParams }) => {
        // What asks for one object only looks whether this is still the same cluster.
        const isWhole = !searchParams.has('watch') && searchParams.get('limit') !== '1';
        return isWhole && pathname.endsWith('/endpointslices');
      }),
    );
    await my.lostNothing();
    const tookMs = await my.serveGamma();
    t.diagnostic(`${Math.round(tookMs)} ms from the change to its first answer`);
    assert.ok(tookMs < soonMs, `${tookMs} ms`);
    assert.equal((await my.site.place.status()).sources[0]?.state, 'up');
  });

  test('a token that expires is told and costs nothing; the one that takes its place in the file is used at once', async (t) => {
    // Long enough for the start.
    const token = await cluster.token(namespace, 25);
    await using my = await inTrouble('expired', '', token);
    const isRefused = (): Promise<boolean> =>
      cluster.api('GET', `/api/v1/namespaces/${namespace}/services`, undefined, token).then(
        () => false,
        (error: unknown) => error instanceof Error && error.cause === 401,
      );
    // What is open stays open; the next request is refused.
    await until('it has expired', isRefused, { withinMs: 60_000, everyMs: 200 });
    my.breakOff();
    await my.myelin.until('the refusal is told', ({ sources }) => /HTTP 401/.test(sources[0]?.down?.reason ?? ''));
    await my.lostNothing();
    await my.site.replaceToken(await cluster.token(namespace));
    const tookMs = await my.serveGamma();
    t.diagnostic(`${Math.round(tookMs)} ms from the change to its first answer`);
    assert.ok(tookMs < soonMs, `${tookMs} ms`);
  });

  test('a right that is withdrawn and given back: the rule is named, what was told last serves on', async (t) => {
    await using my = await inTrouble('forbidden');
    const [services] = watcherRules;
    await cluster.setRules(namespace, [services ?? {}]);
    const told = await my.myelin.until('it is refused', ({ services: [web] }) => {
      my.breakOff();
      return /endpointslices in namespace shop: HTTP 403/.test(web?.stale?.reason ?? '');
    });
    assert.match(
      told.services[0]?.stale?.reason ?? '',
      /resources: \["endpointslices"\], verbs: \["get", "list", "watch"\]/,
    );
    await my.lostNothing();
    await cluster.setRules(namespace, watcherRules);
    const tookMs = await my.serveGamma();
    t.diagnostic(`${Math.round(tookMs)} ms from the rule and the change to its first answer`);
    assert.ok(tookMs < soonMs, `${tookMs} ms`);
    await my.myelin.until('it is well again', ({ services: [web] }) => web?.stale === null);
  });

  test('a stream that stays open and brings nothing: what is new is served within five seconds of the limit', async (t) => {
    const idleMs = 3000;
    await using my = await inTrouble('frozen', `idleTimeout: ${idleMs}ms`);
    const streams = (): number =>
      my.proxy.requests.filter(({ pathname }) => pathname.endsWith('/endpointslices')).length;
    // One that has just begun has all of the limit before it.
    const old = streams();
    await until('there is a new stream', () => streams() > old);
    await my.lostNothing();
    await until('both resources are watched', () => my.proxy.underway >= 2);
    const asked = streams();
    my.proxy.freeze();
    const frozenAt = performance.now();
    await my.lostNothing(30);
    // On a busy machine the looks take longer than that.
    const isWithinLimit = performance.now() - frozenAt < idleMs;
    assert.ok(streams() === asked || !isWithinLimit, 'it is still waited for');
    const tookMs = await my.serveGamma();
    assert.ok(streams() > asked, 'it was given up');
    t.diagnostic(`${Math.round(tookMs)} ms from the change to its first answer, with a limit of ${idleMs} ms`);
    assert.ok(tookMs < idleMs + soonMs, `${tookMs} ms`);
  });
});
