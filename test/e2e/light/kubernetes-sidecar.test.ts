/**
 * The chart's shape `sidecar`: HAProxy and Myelin are processes of their own that share the folder of config and sockets,
 * with the chart's config and the chart's rights. Whichever comes first, ends or is refused, no request is lost.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { type Cluster, startKubernetes } from '../../servers/kubernetes.ts';
import { type Pods, podPort, startPods } from '../../servers/pods.ts';
import { ask, steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import type { Master } from '../../support/haproxy/master.ts';
import { freePort, until } from '../../support/index.ts';
import { configIn, dig, objects, only, pathIn, shaped } from '../../support/kubernetes/chart.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { deleteSlice, putService, putSlice } from '../../support/kubernetes/services.ts';
import { keptLoad } from '../../support/load/kept-load.ts';
import { servedBy } from '../../support/load/traffic.ts';
import { inOwnNetwork } from '../../support/machine/own-network.ts';
import { nextSecond, startMasterOf } from '../../support/sites/master-site.ts';
import { type MyelinProcess, type Workplace, workplace } from '../../support/sites/myelin.ts';

inOwnNetwork(import.meta.filename, () => {
  const names = ['alpha', 'beta', 'gamma'] as const;
  type Name = (typeof names)[number];
  let pods: Pods;
  let cluster: Cluster;
  let token: string;
  before(async () => {
    [pods, cluster] = await Promise.all([startPods(names), startKubernetes({ controllers: false })]);
    for (const name of ['edge', 'shop']) await cluster.api('POST', '/api/v1/namespaces', { metadata: { name } });
    const all = await shaped('sidecar');
    for (const object of all.filter(({ kind }) => ['ServiceAccount', 'Role', 'RoleBinding'].includes(kind)))
      await cluster.api('POST', pathIn(object), object);
    const account = only(all, 'ServiceAccount').metadata.name;
    const asked = { spec: { expirationSeconds: 600 } };
    const made = await cluster.api('POST', `/api/v1/namespaces/edge/serviceaccounts/${account}/token`, asked);
    token = z.string().parse(dig(made, 'status', 'token'));
  });
  after(() => Promise.all([pods[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]));

  class Pod implements AsyncDisposable {
    readonly place: Workplace;
    readonly port: number;
    readonly #service: string;
    readonly #there = new Set<Name>();
    readonly #atEnd = new AsyncDisposableStack();

    constructor(place: Workplace, port: number, service: string) {
      this.place = place;
      this.port = port;
      this.#service = service;
    }

    /** What the chart makes of these values, with the paths of a container in the folder of the test. */
    async configure(values: { readonly web?: object; readonly haproxy?: object } = {}): Promise<void> {
      const web = {
        from: { cluster: { service: this.#service } },
        bind: `127.0.0.1:${this.port}`,
        check: { type: 'http', path: '/healthz' },
        ...values.web,
      };
      const config = {
        watchers: { cluster: { type: 'kubernetes', namespace: 'shop', kubeconfig: './kubeconfig' } },
        services: { web },
        haproxy: { log: 'none', ...values.haproxy },
        reload: { minInterval: '0s' },
      };
      const text = configIn(await objects({ shape: 'sidecar', config, haproxy: { image: { tag: '2.6' } } }));
      await this.place.write(
        'myelin.yaml',
        text.replaceAll('/run/haproxy', './shared').replaceAll('/run/myelin', './run'),
      );
    }

    /** The Service has these endpoints, and no others. */
    async serve(...wanted: readonly Name[]): Promise<void> {
      for (const name of wanted)
        if (!this.#there.has(name))
          await putSlice(cluster, 'shop', this.#service, this.#slice(name), {
            endpoints: [{ addresses: [pods.addressOf(name)] }],
            ports: [{ port: podPort }],
          });
      for (const name of this.#there) if (!wanted.includes(name)) await deleteSlice(cluster, 'shop', this.#slice(name));
      this.#there.clear();
      for (const name of wanted) this.#there.add(name);
    }

    async writeFirstConfig(): Promise<void> {
      const { exitCode, stdout } = await this.place.command('run', '--once', '--no-apply');
      assert.equal(exitCode, 0, stdout);
      await nextSecond();
    }

    async startHaproxy(): Promise<Master> {
      const { place } = this;
      return this.#atEnd.use(await startMasterOf(place));
    }

    async startMyelin(): Promise<MyelinProcess> {
      const myelin = this.place.run();
      await myelin.until('it is ready', ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null);
      return myelin;
    }

    async [Symbol.asyncDispose](): Promise<void> {
      await this.#atEnd.disposeAsync();
      await this.place[Symbol.asyncDispose]();
    }

    #slice(name: Name): string {
      return `${this.#service}-${name}`;
    }
  }

  async function pod(service: string): Promise<Pod> {
    const place = await workplace('');
    const { address, caFile } = cluster;
    await place.write('kubeconfig', kubeconfigText(address, { token }, { caFile, namespace: 'edge' }));
    await place.write('shared/.keep', '');
    await putService(cluster, 'shop', service, { ports: [{ port: 80 }] });
    const made = new Pod(place, await freePort(), service);
    await made.configure();
    return made;
  }

  test('Myelin beside a HAProxy that came first is ended, killed and started again under load: no request fails, nothing is reloaded', async () => {
    await using my = await pod('restarted');
    await my.serve('alpha');
    await my.writeFirstConfig();
    const master = await my.startHaproxy();
    assert.equal(await ask(my.port), 'alpha');
    const worker = await master.worker();
    await using load = steadyLoad(my.port);
    await using kept = keptLoad(my.port);
    for (const [signal, next] of [
      ['SIGTERM', 'beta'],
      ['SIGKILL', 'gamma'],
    ] as const) {
      const myelin = await my.startMyelin();
      await my.serve('alpha', next);
      await load.answeredBy(next);
      await load.goesOn(20);
      myelin.kill(signal);
      await myelin.ended;
      // While nobody looks.
      await my.serve('alpha');
      await load.goesOn(20);
    }
    await my.startMyelin();
    await servedBy(my.port, 'alpha');
    await load.goesOn(20);
    for (const name of names) assert.ok(load.answers.has(name), `${name} answered the load`);
    await kept.endsWithoutFailure();
    await load.endsWithoutFailure();
    assert.equal(await master.worker(), worker);
    assert.equal((await master.processes()).master.reloads, 0);
  });

  test('Myelin that came first writes the file and waits, HAProxy comes, is told to leave under load and comes again', async () => {
    await using my = await pod('awaited');
    await my.serve('alpha', 'beta');
    const myelin = my.place.run();
    await myelin.until('it waits', ({ lastApply }) => /no HAProxy serves yet/.test(lastApply?.error ?? ''));
    const first = await my.startHaproxy();
    await myelin.until('it is ready', ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null);
    await servedBy(my.port, 'alpha', 'beta');

    await using load = steadyLoad(my.port);
    await load.answeredBy('beta');
    process.kill(first.pid, 'SIGUSR1');
    await first.ended;
    await myelin.until('it sees that', ({ haproxy: its }) => its === null);
    await my.serve('gamma');
    for (const name of ['alpha', 'beta']) await pods.listen(name, false);
    await until('the file has what is new', async () =>
      (await my.place.read('shared/haproxy.cfg')).includes(` ${pods.addressOf('gamma')}:`),
    );
    const second = await my.startHaproxy();
    await load.answeredBy('gamma');
    // Whom HAProxy had taken, it answered; while nobody listens, the kernel says so at once.
    const before = [...load.failures];
    assert.deepEqual(
      before.filter((failure) => !failure.includes('ECONNREFUSED')),
      [],
    );
    assert.ok(before.length > 0, 'there was a time without HAProxy');
    for (const name of ['alpha', 'beta']) await pods.listen(name, true);
    await my.serve('gamma', 'alpha');
    await load.answeredBy('alpha');
    // Where it came within the second of the file's change it is reloaded once: another one serves then.
    await until('it knows who serves', async () => {
      const { haproxy: its } = await my.place.status();
      return its !== null && its.pid === (await second.worker());
    });
    await load.goesOn(20);
    assert.deepEqual(load.failures, before, 'since it came again nothing failed');
  });

  test('a config that only the reload itself can refuse: HAProxy serves on, servers still follow, and the next good one is live', async () => {
    await using my = await pod('refused');
    // Nobody here can check a file.
    const without = { binary: './no-haproxy-here' };
    await my.configure({ haproxy: without });
    await my.serve('alpha');
    await my.writeFirstConfig();
    const master = await my.startHaproxy();
    const myelin = await my.startMyelin();
    await servedBy(my.port, 'alpha');
    await using load = steadyLoad(my.port);
    await using kept = keptLoad(my.port);

    await my.configure({ haproxy: without, web: { backend: ['bogus'] } });
    // Which of the two depends on whether this HAProxy says what it does not like.
    const told = await myelin.until('HAProxy has refused it', ({ services: [web], lastApply }) => {
      return (web !== undefined && web.quarantined !== null) || (lastApply !== null && lastApply.error !== null);
    });
    const quarantined = told.services[0]?.quarantined ?? null;
    const refused =
      quarantined === null ? await my.place.read('shared/haproxy.cfg.rejected') : JSON.stringify(quarantined.problems);
    assert.match(refused, /\bbogus\b/);
    await my.serve('alpha', 'beta');
    await load.answeredBy('beta');
    await load.goesOn(20);
    await my.configure({ haproxy: without, web: { timeouts: { queue: '77s' } } });
    await until('the good one is in the file', async () =>
      (await my.place.read('shared/haproxy.cfg')).includes('timeout queue 77s'),
    );
    await myelin.until('it is live', ({ stateReasons, services: [web], pending }) => {
      return isApplied(stateReasons) && web?.quarantined === null && pending === null;
    });
    await servedBy(my.port, 'alpha', 'beta');
    await kept.endsWithoutFailure();
    await load.endsWithoutFailure();
    assert.equal((await my.place.status()).haproxy?.pid, await master.worker());
  });
});
