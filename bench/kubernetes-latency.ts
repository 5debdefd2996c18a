/** How long it takes from a change of an EndpointSlice until the new endpoint gives its first answer. */
import timers from 'node:timers/promises';
import { startBackends } from '../test/servers/backend.ts';
import { startKubernetes } from '../test/servers/kubernetes.ts';
import { isApplied } from '../test/support/applied.ts';
import { freePort } from '../test/support/index.ts';
import { kubeconfigText } from '../test/support/kubernetes/kubeconfig.ts';
import { putService, putSlice, slicesPath } from '../test/support/kubernetes/services.ts';
import { quantile } from '../test/support/load/figures.ts';
import { ownAddress } from '../test/support/machine/own-network.ts';
import { workplace } from '../test/support/sites/myelin.ts';
import { startAsking } from './asking.ts';
import { now } from './clock.ts';
import { table } from './report.ts';
import { startWatching } from './watching.ts';

const namespace = 'shop';
const service = 'web';
const warmUps = 5;
const names = ['first', 'second', 'third'] as const;
type Name = (typeof names)[number];

type Figures = { readonly answered: number[]; readonly written: number[]; readonly told: number[] };

/** `cli`: which Myelin. */
export async function measureLatency(changes: number, cli: string): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const backends = stack.use(await startBackends(names, ownAddress));
  const cluster = stack.use(await startKubernetes({ controllers: false }));
  await cluster.namespace(namespace);
  await putService(cluster, namespace, service, { ports: [{ port: 80 }] });
  // One slice a server: its port is part of the slice.
  const slice = (name: Name, isThere: boolean) => ({
    endpoints: isThere ? [{ addresses: [ownAddress] }] : [],
    ports: [{ port: backends[name].port }],
  });
  for (const name of names) await putSlice(cluster, namespace, service, name, slice(name, name === 'first'));
  const port = await freePort();
  const config = [
    'watchers: { kubernetes: { kubeconfig: ./kubeconfig } }',
    `services: { ${service}: { bind: "127.0.0.1:${port}" } }`,
    'haproxy: { log: none }',
    'probes: { listen: "off" }',
    '',
  ];
  const place = stack.use(await workplace(config.join('\n'), cli));
  const credentials = { token: await cluster.token(namespace) };
  await place.write('kubeconfig', kubeconfigText(cluster.address, credentials, { caFile: cluster.caFile, namespace }));
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons), 30_000);
  const asking = stack.use(await startAsking());
  const url = `${cluster.address}${slicesPath(namespace)}?watch=true&resourceVersion=0`;
  const watching = stack.use(await startWatching({ url, token: cluster.adminToken }));

  const apart: Figures = { answered: [], written: [], told: [] };
  for (let change = -warmUps; change < changes; change++) {
    // Not in step with any timer, and slower than anything that limits the rate of changes.
    await timers.setTimeout(300 + 200 * Math.random());
    await add('second', change < 0 ? null : apart);
    await timers.setTimeout(200);
    await put('second', false);
  }
  const backToBack: Figures = { answered: [], written: [], told: [] };
  for (let change = 0; change < changes; change++) {
    const [next, other] = change % 2 === 0 ? (['second', 'third'] as const) : (['third', 'second'] as const);
    await put(other, false);
    await add(next, backToBack);
  }
  return report({ 'some time apart': apart, 'back to back': backToBack });

  async function put(name: Name, isThere: boolean): Promise<{ readonly version: string }> {
    const written = (await cluster.api('PATCH', `${slicesPath(namespace)}/${name}`, slice(name, isThere))) as {
      readonly metadata: { readonly resourceVersion: string };
    };
    return { version: written.metadata.resourceVersion };
  }

  async function add(name: Name, figures: Figures | null): Promise<void> {
    const answering = asking.until({ port, host: service, body: name });
    // It asks already.
    await timers.setTimeout(20);
    const changedAt = now();
    const { version } = await put(name, true);
    const writtenAt = now();
    const answeredAt = await answering;
    if (figures === null) return;
    figures.answered.push(answeredAt - changedAt);
    figures.written.push(writtenAt - changedAt);
    figures.told.push((await watching.cameAt(version)) - changedAt);
  }
}

function report(rows: Readonly<Record<string, Figures>>): string {
  const ms = (value: number): string => (Number.isNaN(value) ? '–' : `${value.toFixed(1)} ms`);
  const titles = ['changes', '', 'p50', 'p90', 'p99', 'max', 'write answered, p50', 'bare watch told, p50'];
  return table([
    titles,
    ...Object.entries(rows).map(([name, { answered, written, told }]) => [
      name,
      `${answered.length}`,
      ...[0.5, 0.9, 0.99, 1].map((share) => ms(quantile(answered, share))),
      ms(quantile(written, 0.5)),
      ms(quantile(told, 0.5)),
    ]),
  ]);
}
