/**
 * `npm run bench:latency [-- CHANGES]`: how long a change takes until the new server gives its first answer: Myelin with
 * a file and with a real Consul agent, and consul-template with a correct `-x` reload and the same agent.
 * `npm run bench:latency -- --idle`: what Myelin costs while nothing happens.
 */
import { Agent } from 'node:http';
import timers from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startBackends } from '../test/servers/backend.ts';
import { type ConsulAgent, startConsul } from '../test/servers/consul.ts';
import { startConsulTemplate } from '../test/servers/consul-template.ts';
import { ask } from '../test/servers/steady.ts';
import { quantile } from '../test/support/figures.ts';
import { freePort, until } from '../test/support/index.ts';
import { workplace } from '../test/support/myelin.ts';
import { measureIdle } from './idle.ts';
import { machine, table } from './report.ts';

/** One way from a change to HAProxy. The first server is always there, the second comes and goes. */
type Path = {
  readonly name: string;
  readonly port: number;
  add(): Promise<void>;
  remove(): Promise<void>;
  /** Waits until so many servers take traffic and no old process is left. */
  settled(servers: number): Promise<unknown>;
  /** Asks the source itself; null where there is nobody to ask. */
  readonly listen: (() => Promise<Listener>) | null;
  readonly startMs: number;
};

/** Settles when a client that waits for news of the service has been told of the second server. */
type Listener = { readonly told: Promise<void> };

type Figures = { readonly latenciesMs: number[]; readonly toldMs: number[] };

/** All paths in turns, so that whatever else the machine does at times hits all of them. */
const rounds = 5;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { idle: { type: 'boolean' } } });
const changes = Number(positionals[0] ?? 100);
if (!Number.isInteger(changes) || changes < 1) {
  process.stderr.write('usage: npm run bench:latency [-- CHANGES | --idle]\n');
  process.exit(2);
}
process.stdout.write(values.idle === true ? await measureIdle() : await measureLatency());
process.stdout.write(await machine());

async function measureLatency(): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const backends = await startBackends(['first', 'second']);
  stack.use(backends);
  const { first, second } = backends;
  const consul = stack.use(await startConsul());
  const paths = [await fromFile(), await fromConsul(), await byConsulTemplate()] as const;
  const figures = new Map(paths.map((path) => [path, { latenciesMs: [], toldMs: [] } as Figures]));
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
    stack.use(await startConsulTemplate({ place, consul: consul.address, service: 'templated', port }));
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
    await consul.register({ name, address: first.address, port: first.port });
    return {
      add: () => consul.register({ name, address: second.address, port: second.port }),
      remove: () => consul.deregister(`${name}-${second.port}`),
      listen: () => listen(consul, name),
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

  async function measure(path: Path, { latenciesMs, toldMs }: Figures): Promise<void> {
    await path.settled(1);
    const listener = await path.listen?.();
    // Not in step with any timer, and slower than anything that limits the rate of changes.
    await timers.setTimeout(300 + 200 * Math.random());
    const changedAt = performance.now();
    const since = (): number => performance.now() - changedAt;
    const telling = listener?.told.then(() => void toldMs.push(since()));
    const adding = path.add();
    await answering(path.port, second.name);
    latenciesMs.push(since());
    await adding;
    await telling;
    await path.settled(2);
    await path.remove();
  }
}

/**
 * Asks over a kept connection, and again as soon as it has the answer: of two servers in turn the new one answers at
 * the latest at the second request, and no timer of ours is in the figure.
 */
async function answering(port: number, name: string): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const deadline = performance.now() + 60_000;
  try {
    while ((await ask(port, agent)) !== name)
      if (performance.now() > deadline) throw new Error(`${name} does not answer on port ${port}`);
  } finally {
    agent.destroy();
  }
}

/** What every client of Consul waits for: its answer to a blocking query. */
async function listen(consul: ConsulAgent, service: string): Promise<Listener> {
  const ask = async (index: string): Promise<{ readonly count: number; readonly index: string }> => {
    const response = await fetch(`${consul.address}/v1/health/service/${service}?passing${index}`);
    const instances: unknown = await response.json();
    const count = Array.isArray(instances) ? instances.length : 0;
    return { count, index: `&wait=60s&index=${response.headers.get('x-consul-index')}` };
  };
  const before = await ask('');
  const told = async (): Promise<void> => {
    for (let { count, index } = before; count < 2; ) ({ count, index } = await ask(index));
  };
  return { told: told() };
}

function report(figures: ReadonlyMap<Path, Figures>, peer: Path, ours: Path): string {
  const ms = (value: number): string => (Number.isNaN(value) ? '–' : `${value.toFixed(1)} ms`);
  const rows = [...figures].map(([{ name, startMs }, { latenciesMs, toldMs }]) => [
    name,
    `${latenciesMs.length}`,
    ...[0.5, 0.9, 0.99, 1].map((share) => ms(quantile(latenciesMs, share))),
    ms(quantile(toldMs, 0.5)),
    `${startMs.toFixed(0)} ms`,
  ]);
  const p50 = (path: Path): number => quantile(figures.get(path)?.latenciesMs ?? [], 0.5);
  const titles = [
    'from the change to the first answer',
    'changes',
    'p50',
    'p90',
    'p99',
    'max',
    'source tells, p50',
    'start',
  ];
  return `${table([titles, ...rows])}${peer.name} : ${ours.name}, p50: ${(p50(peer) / p50(ours)).toFixed(1)}\n`;
}
