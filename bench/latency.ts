/**
 * `npm run bench:latency [-- CHANGES]`: how long a change takes until the new server gives its first answer: Myelin with
 * a file and with a real Consul agent, and consul-template with a correct `-x` reload and the same agent.
 * `npm run bench:latency -- --idle`: what Myelin costs while nothing happens. `--short`: whether the benchmark runs.
 */
import timers from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Ms } from '../src/model.ts';
import { type Backend, startBackends } from '../test/servers/backend.ts';
import { startConsul } from '../test/servers/consul.ts';
import { plainTemplate, startConsulTemplate } from '../test/servers/consul-template.ts';
import { ask } from '../test/servers/steady.ts';
import { freePort, until } from '../test/support/index.ts';
import { quantile } from '../test/support/load/figures.ts';
import { workplace } from '../test/support/sites/myelin.ts';
import { startAsking } from './asking.ts';
import { benchmark } from './benchmark.ts';
import { now } from './clock.ts';
import { ConsulClient, type Listener } from './consul-client.ts';
import { measureIdle } from './idle.ts';
import { machine, table } from './report.ts';

/** One way from a change to HAProxy. The first server is always there, the second comes and goes. */
type Path = {
  readonly name: string;
  readonly port: number;
  add(): Promise<unknown>;
  remove(): Promise<unknown>;
  /** Waits until so many servers take traffic and no old process is left. */
  settled(servers: number): Promise<unknown>;
  /** Asks the source itself; null where there is nobody to ask. */
  readonly listen: (() => Promise<Listener>) | null;
  readonly startMs: number;
};

/** Of each change: after how long the new server answered, and the source had told of it, where it can be asked. */
type Figures = { readonly answeredMs: Ms[]; readonly toldMs: Ms[] };

/** All paths in turns, so that whatever else the machine does at times hits all of them. */
const rounds = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { idle: { type: 'boolean' }, short: { type: 'boolean' } },
});
const { idle = false, short = false } = values;
const changes = Number(positionals[0] ?? (short ? 2 : 100));
if (!Number.isInteger(changes) || changes < 1) {
  process.stderr.write('usage: npm run bench:latency [-- CHANGES | --idle] [--short]\n');
  process.exit(2);
}
// Three ways, each change with its way back.
await benchmark({ name: 'bench:latency', limitMs: 300_000 + changes * 15_000 });
process.stdout.write(idle ? await measureIdle(short) : await measureLatency());
process.stdout.write(await machine());

async function measureLatency(): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const backends = await startBackends(['first', 'second']);
  stack.use(backends);
  const { first, second } = backends;
  const consul = stack.use(await startConsul());
  const atConsul = stack.use(new ConsulClient(consul.address));
  const client = stack.use(await startAsking());
  const paths = [await fromFile(), await fromConsul(), await byConsulTemplate()] as const;
  const figures = new Map(paths.map((path) => [path, { answeredMs: [], toldMs: [] } as Figures]));
  for (let round = 0; round < rounds; round++)
    for (const [path, found] of figures)
      for (let change = round; change < changes; change += rounds) await measure(path, found);
  return report(figures, paths[2], paths[1]);

  async function fromFile(): Promise<Path> {
    const place = stack.use(await workplace(''));
    const put = (...ports: readonly number[]): Promise<void> =>
      place.write('services.yaml', JSON.stringify({ services: { web: ports.map((port) => `127.0.0.1:${port}`) } }));
    await put(first.port);
    return {
      ...(await myelin(place, 'Myelin, file (rename)', 'file: { path: services.yaml }', 'web')),
      add: () => put(first.port, second.port),
      remove: () => put(first.port),
      listen: null,
    };
  }

  async function fromConsul(): Promise<Path> {
    const place = stack.use(await workplace(''));
    const watcher = `consul: { address: "${consul.address}" }`;
    const service = await inConsul('web');
    return { ...(await myelin(place, 'Myelin, Consul', watcher, 'web')), ...service };
  }

  async function byConsulTemplate(): Promise<Path> {
    const [place, port] = [stack.use(await workplace('')), await freePort()];
    const service = await inConsul('templated');
    const startedAt = performance.now();
    const template = plainTemplate(place.path('admin.sock'), 'templated', port);
    stack.use(await startConsulTemplate({ place, consul: consul.address, template }));
    await answersFirst(port);
    return {
      name: 'consul-template, Consul',
      port,
      startMs: performance.now() - startedAt,
      ...service,
      settled: (servers) =>
        until(`${servers} servers are live`, async () => {
          const lines = (await place.read('haproxy.cfg')).match(/^ {4}server /gm) ?? [];
          return lines.length === servers && (await place.haproxies()).length === 1;
        }),
    };
  }

  async function inConsul(name: string): Promise<Pick<Path, 'add' | 'remove' | 'listen'>> {
    const register = ({ address, port }: Pick<Backend, 'address' | 'port'>): Promise<unknown> => {
      const ID = `${name}-${port}`;
      const Check = { CheckID: `check-${ID}`, TTL: '1h', Status: 'passing' };
      return atConsul.ask('PUT', '/v1/agent/service/register', { ID, Name: name, Address: address, Port: port, Check });
    };
    await register(first);
    return {
      add: () => register(second),
      remove: () => atConsul.ask('PUT', `/v1/agent/service/deregister/${name}-${second.port}`),
      listen: () => atConsul.listen(name, 2),
    };
  }

  async function myelin(
    place: Awaited<ReturnType<typeof workplace>>,
    name: string,
    watcher: string,
    service: string,
  ): Promise<Pick<Path, 'name' | 'port' | 'startMs' | 'settled'>> {
    const port = await freePort();
    const config = [
      `watchers: { ${watcher} }`,
      `services: { ${service}: { bind: "127.0.0.1:${port}" } }`,
      'allowAddresses: [127.0.0.0/8]',
      'haproxy: { log: none }',
      'probes: { listen: "off" }',
      '',
    ];
    await place.write('myelin.yaml', config.join('\n'));
    const startedAt = performance.now();
    const running = place.run();
    await answersFirst(port);
    return {
      name,
      port,
      startMs: performance.now() - startedAt,
      settled: (servers) =>
        running.until(`${servers} servers are live`, ({ services: [web], pending, haproxy, lastApply }) => {
          const isApplied = lastApply?.error === null && pending === null;
          return isApplied && web?.endpoints.ready === servers && haproxy?.oldWorkers.length === 0;
        }),
    };
  }

  function answersFirst(port: number): Promise<unknown> {
    return until(`${first.name} answers`, async () => (await ask(port)) === first.name, {
      withinMs: 60_000,
      everyMs: 1,
    });
  }

  async function measure(path: Path, { answeredMs, toldMs }: Figures): Promise<void> {
    await path.settled(1);
    const listener = await path.listen?.();
    // Not in step with any timer, and slower than anything that limits the rate of changes.
    await timers.setTimeout(300 + 200 * Math.random());
    const answering = client.until({ port: path.port, host: 'web', body: second.name });
    // It asks already.
    await timers.setTimeout(20 + 20 * Math.random());
    const changedAt = now();
    const adding = path.add();
    const tookMs = (await answering) - changedAt;
    if (tookMs < 0) throw new Error(`${second.name} answers before it was added`);
    answeredMs.push(tookMs);
    if (listener !== undefined) toldMs.push((await listener.told) - changedAt);
    await adding;
    await path.settled(2);
    await path.remove();
  }
}

function report(figures: ReadonlyMap<Path, Figures>, peer: Path, ours: Path): string {
  const ms = (value: number): string => (Number.isNaN(value) ? '–' : `${value.toFixed(1)} ms`);
  const rows = [...figures].map(([{ name, startMs }, { answeredMs, toldMs }]) => {
    const beyondMs = toldMs.map((told, at) => (answeredMs[at] ?? Number.NaN) - told);
    return [
      name,
      `${answeredMs.length}`,
      ...[0.5, 0.9, 0.99, 1].map((share) => ms(quantile(answeredMs, share))),
      ...[toldMs, beyondMs].flatMap((values) => [0.5, 0.99].map((share) => ms(quantile(values, share)))),
      `${startMs.toFixed(0)} ms`,
    ];
  });
  const p50 = (path: Path): number => quantile(figures.get(path)?.answeredMs ?? [], 0.5);
  const titles = ['from the change to the first answer', 'changes', 'p50', 'p90', 'p99', 'max'];
  const parts = ['source tells, p50', 'p99', 'from then on, p50', 'p99', 'start'];
  return `${table([[...titles, ...parts], ...rows])}${peer.name} : ${ours.name}, p50: ${(p50(peer) / p50(ours)).toFixed(1)}\n`;
}
