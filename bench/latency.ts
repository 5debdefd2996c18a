/**
 * `npm run bench:latency [-- CHANGES]`: how long a change takes until the new server gives its first answer, a reload
 * included, with a file and with a real Consul agent; what Myelin's start and its memory at idle cost.
 */
import { readFile } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { startBackends } from '../test/servers/backend.ts';
import { startConsul } from '../test/servers/consul.ts';
import { ask } from '../test/servers/steady.ts';
import { freePort, until } from '../test/support/index.ts';
import { type MyelinProcess, workplace } from '../test/support/myelin.ts';

type Row = {
  readonly source: string;
  /** From the change until the new server's first answer; and how much of it was the reload. */
  readonly latenciesMs: readonly number[];
  readonly reloadsMs: readonly number[];
  /** From starting Myelin, with no HAProxy running, until the first answer. */
  readonly startMs: number;
  readonly idleMiB: number;
};

/** What stands behind the service: the first server is always there, the second comes and goes. */
type Source = {
  readonly name: string;
  readonly watchers: string;
  start(): Promise<void>;
  add(): Promise<void>;
  remove(): Promise<void>;
};

const idleMs = Number(process.env.IDLE ?? 30) * 1000;
const changes = Number(process.argv[2] ?? 100);

await using backends = await startBackends(['first', 'second']);
const { first, second } = backends;
await using consul = await startConsul();

const rows = [
  await measure((write) => {
    const put = (...ports: readonly number[]): Promise<void> =>
      write('services.yaml', JSON.stringify({ services: { web: ports.map((port) => `127.0.0.1:${port}`) } }));
    return {
      name: 'file (rename)',
      watchers: 'file: { path: services.yaml }',
      start: () => put(first.port),
      add: () => put(first.port, second.port),
      remove: () => put(first.port),
    };
  }),
  await measure(() => ({
    name: 'Consul (register)',
    watchers: `consul: { address: "${consul.address}" }`,
    start: () => consul.register({ name: 'web', address: first.address, port: first.port }),
    add: () => consul.register({ name: 'web', address: second.address, port: second.port }),
    remove: () => consul.deregister(`web-${second.port}`),
  })),
];
process.stdout.write(table(rows));

async function measure(sourceOf: (write: (name: string, text: string) => Promise<void>) => Source): Promise<Row> {
  const port = await freePort();
  await using place = await workplace('');
  const source = sourceOf((name, text) => place.write(name, text));
  const config = [
    `watchers: { ${source.watchers} }`,
    `services: { web: { bind: "127.0.0.1:${port}" } }`,
    'allowAddresses: [127.0.0.0/8]',
    'haproxy: { log: none }',
    // The path is measured, not the pause between two reloads.
    'reload: { minInterval: 0ms }',
    'probes: { listen: "off" }',
    '',
  ];
  await place.write('myelin.yaml', config.join('\n'));
  await source.start();
  const startedAt = performance.now();
  const myelin = place.run();
  await answersWith(port, first.name);
  const startMs = performance.now() - startedAt;
  await timers.setTimeout(idleMs);
  const idleMiB = await residentMiB(myelin);

  const latenciesMs: number[] = [];
  const reloadsMs: number[] = [];
  for (let change = 0; change < changes; change++) {
    await settled(myelin, 1);
    // Not in step with any timer.
    await timers.setTimeout(100 + 200 * Math.random());
    const changedAt = performance.now();
    await source.add();
    await answersWith(port, second.name);
    latenciesMs.push(performance.now() - changedAt);
    const { lastApply } = await settled(myelin, 2);
    reloadsMs.push(lastApply?.tookMs ?? Number.NaN);
    await source.remove();
  }
  return { source: source.name, latenciesMs, reloadsMs, startMs, idleMiB };
}

function answersWith(port: number, name: string): Promise<boolean> {
  return until(`${name} answers`, async () => (await ask(port)) === name, { withinMs: 60_000, everyMs: 1 });
}

/** So many servers, and no old process any more. */
function settled(myelin: MyelinProcess, servers: number) {
  return myelin.until(`${servers} servers are live`, ({ services, pending, haproxy, lastApply }) => {
    const isApplied = lastApply?.error === null && pending === null;
    return isApplied && services[0]?.endpoints.ready === servers && haproxy?.oldWorkers.length === 0;
  });
}

async function residentMiB({ pid }: MyelinProcess): Promise<number> {
  const [, kiB] = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kiB) / 1024;
}

function table(all: readonly Row[]): string {
  const cells = [
    ['source', 'changes', 'p50', 'p99', 'max', 'of it reload p50', 'start', 'memory at idle'],
    ...all.map(({ source, latenciesMs, reloadsMs, startMs, idleMiB }) => [
      source,
      `${latenciesMs.length}`,
      ...[0.5, 0.99, 1].map((share) => `${quantile(latenciesMs, share).toFixed(0)} ms`),
      `${quantile(reloadsMs, 0.5).toFixed(0)} ms`,
      `${startMs.toFixed(0)} ms`,
      `${idleMiB.toFixed(0)} MiB`,
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** The smallest value that so large a share does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
