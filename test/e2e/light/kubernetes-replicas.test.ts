/** Replicas that are told the same in another order write the same config, byte by byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startFaultProxy } from '../../servers/fault-proxy.ts';
import { startKubernetes } from '../../servers/kubernetes.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort, until } from '../../support/index.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { deleteSlice, putService, putSlice } from '../../support/kubernetes/services.ts';
import { type Workplace, workplace } from '../../support/sites/myelin.ts';

const cluster = await forFile(startKubernetes());
await cluster.namespace('shop');

const services = ['one', 'two', 'three'];
const slicesEach = 4;

type Replica = AsyncDisposable & { readonly place: Workplace; config(): Promise<string> };

test('replicas write the same file, be they told change by change, of all at once, or in pieces by a stream that breaks', async () => {
  const port = await freePort();
  for (const service of services) await putService(cluster, 'shop', service, { ports: [{ port: 80 }] });

  await using early = await replica(cluster.address, port);
  await using proxy = await startFaultProxy(cluster.address);
  await using broken = await replica(proxy.address, port);
  /** The addresses in each slice. */
  const written = new Map<string, readonly string[]>();
  const step = async (service: string, slice: number, count: number): Promise<void> => {
    const name = `${service}-${slice}`;
    if (count === 0 && written.has(name)) await deleteSlice(cluster, 'shop', name);
    if (count === 0) return void written.delete(name);
    // Some stand in two slices, some leave, and names are not in the order of addresses.
    const addresses = Array.from({ length: count }, (_, at) => `192.0.2.${5 * slice + ((at * 7) % 12)}`);
    written.set(name, addresses);
    await putSlice(cluster, 'shop', service, name, {
      endpoints: addresses.map((address, at) => ({
        addresses: [address],
        targetRef: { kind: 'Pod', name: `pod-${(at * 5 + slice) % 17}` },
        conditions: { ready: at % 5 !== 4, serving: true, terminating: at % 5 === 4 },
        zone: at % 2 === 0 ? 'za' : 'zb',
      })),
      ports: [{ port: 8080 }],
    });
  };
  for (let round = 0; round < 4; round++) {
    // A list is in the order of names; who is told change by change hears of them in another.
    for (const service of services)
      for (let slice = slicesEach - 1; slice >= 0; slice--) {
        await step(service, slice, (slice * 3 + round * 5 + service.length) % 9);
        // Whatever comes while it is broken off, it hears of later, in one piece.
        if (slice % 2 === round % 2) proxy.spoil(null, { breakOff: true });
      }
  }
  for (const service of services) {
    const all = [...written].flatMap(([name, addresses]) => (name.startsWith(`${service}-`) ? addresses : []));
    assert.ok(new Set(all).size < all.length, `some of ${service} stand in two slices`);
  }
  await using late = await replica(cluster.address, port);
  const all = [early, broken, late];
  const expected = await until('somebody is in each backend', async () => {
    const text = await late.config();
    return services.every((service) =>
      new RegExp(`^backend ${service}(?: .*)?\\n(?:    .*\\n)*    server `, 'm').test(text),
    )
      ? text
      : null;
  });
  for (const each of all)
    await until('they agree', async () => (await each.config()) === expected, { withinMs: 20_000 });
  // Nothing that is still to come changes any of them.
  await step('one', 0, 3);
  await until('all have heard of it', async () => {
    const texts = new Set(await Promise.all(all.map((each) => each.config())));
    return texts.size === 1 && !texts.has(expected);
  });
  assert.ok(expected.split('\n').filter((line) => /^ {4}server /.test(line)).length > 20);
});

/** Only writes the file: two HAProxys cannot have one port. */
async function replica(server: string, port: number): Promise<Replica> {
  const lines = services.map((service, at) => `  ${service}: { bind: "127.0.0.1:${port + at}", onEmpty: accept }`);
  const config = [
    // What has gone lately is kept by those who have seen it.
    'watchers: { kubernetes: { kubeconfig: ./kubeconfig, maxShrink: { share: 1 } } }',
    'services:',
    ...lines,
    'haproxy: { log: none, control: none }',
    'reload: { minInterval: 0ms }',
    'probes: { listen: "off" }',
    '',
  ];
  const place = await workplace(config.join('\n'));
  const { caFile } = cluster;
  const credentials = { token: await cluster.token('shop') };
  await place.write('kubeconfig', kubeconfigText(server, credentials, { caFile, namespace: 'shop' }));
  const myelin = place.run();
  await myelin.until('it has synced', ({ sources }) => sources[0]?.synced === true, 30_000);
  return {
    place,
    // Its own folder is the only thing in it that is not everybody's.
    config: async () => (await place.read('run/haproxy.cfg')).replaceAll(place.folder, ''),
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}
