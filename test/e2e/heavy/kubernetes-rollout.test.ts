/** Deployments that roll, scale and are made anew in a real cluster: traffic follows without a reload, and no request is lost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import timers from 'node:timers/promises';
import { ask as askSocket } from '../../../src/haproxy/cli/socket.ts';
import { type Cluster, startKubernetes } from '../../servers/kubernetes.ts';
import { otherPodPort, type Pods, podPort, startPods } from '../../servers/pods.ts';
import { steadyLoad } from '../../servers/steady.ts';
import { until } from '../../support/index.ts';
import { deleteService, deleteSlice, putNode, putSlice } from '../../support/kubernetes/services.ts';
import { keptLoad } from '../../support/load/kept-load.ts';
import { get } from '../../support/load/requests.ts';
import { servedBy, serversOf } from '../../support/load/traffic.ts';
import { inOwnNetwork } from '../../support/machine/own-network.ts';
import { type KubernetesSite, kubernetesSite, namespace } from '../../support/sites/kubernetes-site.ts';

inOwnNetwork(import.meta.filename, () => {
  const names = Array.from({ length: 250 }, (_, at) => `p${at + 1}`);
  let pods: Pods;
  let cluster: Cluster;
  before(async () => {
    [pods, cluster] = await Promise.all([startPods(names), startKubernetes()]);
    await cluster.namespace(namespace);
    await putNode(cluster, 'node-1', 'za');
  });
  after(() => Promise.all([pods[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]));

  /** The weight that HAProxy itself has for each server, by address. */
  async function weights({ place }: KubernetesSite): Promise<ReadonlyMap<string, number>> {
    const rows = (await askSocket(place.path('run/admin.sock'), ['show servers state web'])).split('\n');
    return new Map(
      rows.flatMap((row): [string, number][] => {
        const fields = row.split(' ');
        return fields[1] === 'web' ? [[fields[4] ?? '', Number(fields[7])]] : [];
      }),
    );
  }

  const addresses = (some: readonly string[]): readonly string[] => some.map((name) => pods.addressOf(name));

  /** Waits until HAProxy has exactly these at full weight, and these draining. */
  async function serves(site: KubernetesSite, ready: readonly string[], draining: readonly string[] = []) {
    await until(
      `${ready.length} ready and ${draining.length} draining`,
      async () => {
        const now = await weights(site);
        const isReady = addresses(ready).every((address) => (now.get(address) ?? 0) > 0);
        const isDraining = addresses(draining).every((address) => now.get(address) === 0);
        return isReady && isDraining && now.size === ready.length + draining.length;
      },
      { withinMs: 60_000 },
    );
  }

  test('thirty pods replaced six at a time under load: no request fails, nothing is reloaded, who is told to go gets no more', async (t) => {
    await using my = await kubernetesSite(cluster, pods, 'rolling');
    let running = names.slice(0, 30);
    const coming = names.slice(30, 60);
    for (const name of coming) await pods.listen(name, false);
    await my.run(running);
    const myelin = await my.start();
    await serves(my, running);
    await myelin.until('all are known', ({ services }) => services[0]?.endpoints.ready === 30);
    const before = await my.reloads();
    await using steady = steadyLoad(my.port);
    await using kept = keptLoad(my.port);

    for (let wave = 0; wave < 5; wave++) {
      const young = coming.slice(wave * 6, wave * 6 + 6);
      const old = running.slice(0, 6);
      await my.run(young, false);
      await my.run(young);
      await my.tellToGo(old);
      running = [...running.slice(6), ...young];
      await serves(my, running, old);
      const got = await until('what was under way is over', async () => {
        const counts = await pods.answered(old);
        await steady.goesOn(20);
        return String(await pods.answered(old)) === String(counts) ? counts : null;
      });
      // A pod has time to end.
      await steady.goesOn(400);
      assert.deepEqual(await pods.answered(old), got, 'who is told to go gets no more requests');
      await my.end(old);
      await serves(my, running);
    }
    const complete = await kept.endsWithoutFailure();
    await steady.endsWithoutFailure();
    t.diagnostic(`${complete} requests on kept connections, none failed`);
    assert.ok(complete > 5000, `${complete} requests`);
    assert.equal(await my.reloads(), before);
    assert.ok(
      (await pods.answered(coming)).every((count) => count > 0),
      'each of the new ones answered',
    );
    assert.deepEqual(
      await until('the file has followed', async () => {
        const servers = await serversOf(my.place, 'web');
        return servers.length === 30 ? servers : null;
      }),
      addresses(coming)
        .map((address) => `${address}:${podPort} 1`)
        .sort(),
    );
  });

  test('a Service scaled from nobody to one, to nobody and to fifty has no reload, 503 only where nobody is, and an answer of each of the fifty', async () => {
    // Within a minute of the start it would be doubted that all are gone.
    await using my = await kubernetesSite(cluster, pods, 'scaled', { web: 'onEmpty: accept' });
    await my.start();
    await until('nobody is there', async () => (await get(my.port)) === '503');
    const before = await my.reloads();
    const fifty = names.slice(0, 50);
    const first = fifty.slice(0, 1);

    await my.run(first);
    await servedBy(my.port, 'p1');
    {
      await using load = steadyLoad(my.port);
      await load.answeredBy('p1');
      await my.tellToGo(first);
      // Nobody else is there: it serves until it is gone.
      await load.goesOn(200);
      await load.endsWithoutFailure();
    }
    await my.end(first);
    await until('nobody is there', async () => (await get(my.port)) === '503');

    const scaling = my.run(fifty);
    await until('somebody answers', async () => (await get(my.port)) !== '503');
    await using load = steadyLoad(my.port);
    await scaling;
    await serves(my, fifty);
    await until('each answers', () => fifty.every((name) => load.answers.has(name)));
    await load.endsWithoutFailure();
    assert.equal(await my.reloads(), before);
  });

  test('250 endpoints in three slices are 250 servers, each of which answers, and 249 of them may leave at once', async () => {
    await using my = await kubernetesSite(cluster, pods, 'large', {
      watcher: 'maxShrink: { share: 1 }',
    });
    await my.run(names.slice(0, 1));
    await my.start();
    await servedBy(my.port, 'p1');
    const before = await my.reloads();
    await using load = steadyLoad(my.port);
    await my.run(names);
    await serves(my, names);
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const { items } = (await cluster.api('GET', `${path}?labelSelector=kubernetes.io/service-name=large`)) as {
      items: readonly { readonly endpoints: readonly unknown[] | null }[];
    };
    assert.ok(items.length >= 3, `${items.length} slices`);
    assert.ok(items.every(({ endpoints }) => (endpoints?.length ?? 0) <= 100));
    await until('each answers', () => names.every((name) => load.answers.has(name)), { withinMs: 60_000 });
    assert.equal((await serversOf(my.place, 'web')).length, 250);
    const leaving = names.slice(1);
    await my.tellToGo(leaving);
    await serves(my, names.slice(0, 1), leaving);
    await my.end(leaving);
    await serves(my, names.slice(0, 1));
    await load.endsWithoutFailure();
    assert.equal(await my.reloads(), before);
  });

  test('a Service that is deleted and made anew with another port is served there, and no request is lost in between', async () => {
    await using my = await kubernetesSite(cluster, pods, 'moved');
    const some = names.slice(0, 3);
    await my.run(some);
    // The cluster's own slices go with the Service. This one stays: that nobody is left is known by the Service alone.
    const byHand = 'p4';
    await pods.listen(byHand, true);
    await putSlice(cluster, namespace, 'moved', 'moved-by-hand', {
      endpoints: [{ addresses: [pods.addressOf(byHand)] }],
      ports: [{ port: podPort }],
    });
    await my.start();
    await servedBy(my.port, ...some, byHand);
    const before = await my.reloads();
    await using load = steadyLoad(my.port);
    await deleteService(cluster, namespace, 'moved');
    await until('its absence is noticed', async () => {
      const { services } = await my.place.status();
      return services[0]?.kept?.reason === 'emptied';
    });
    await deleteSlice(cluster, namespace, 'moved-by-hand');
    await my.putService(otherPodPort);
    await servedBy(my.port, ...some.map((name) => `${name}:${otherPodPort}`));
    await load.endsWithoutFailure();
    assert.equal(await my.reloads(), before);
  });

  test('a Service that is replaced, as by kubectl replace --force, loses no request, also where a sudden absence is accepted at once', async () => {
    // As long after a start or a reconnection.
    await using my = await kubernetesSite(cluster, pods, 'replaced', { web: 'onEmpty: accept' });
    const some = names.slice(0, 3);
    await my.run(some);
    await my.start();
    await servedBy(my.port, ...some);
    const before = await my.reloads();
    await using load = steadyLoad(my.port);
    const replacements = [
      { port: otherPodPort, afterMs: 0 },
      { port: podPort, afterMs: 0 },
      // kubectl from far away.
      { port: otherPodPort, afterMs: 700 },
    ];
    for (const { port, afterMs } of replacements) {
      await deleteService(cluster, namespace, 'replaced');
      await timers.setTimeout(afterMs);
      await my.putService(port);
      await servedBy(my.port, ...some.map((name) => (port === podPort ? name : `${name}:${port}`)));
    }
    await load.endsWithoutFailure();
    assert.equal(await my.reloads(), before);
  });
});
