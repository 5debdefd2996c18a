/**
 * `npm run bench:resting [-- SERVICES] [--short]`: what very many Consul services at rest cost Myelin and the agent, with
 * everything as by default, and how soon a change of one of them is seen.
 */
import timers from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { supervise } from '../src/sources/supervise.ts';
import { type ConsulAgent, startConsul } from '../test/servers/consul.ts';
import { startFaultProxy } from '../test/servers/fault-proxy.ts';
import { isApplied } from '../test/support/applied.ts';
import { until } from '../test/support/index.ts';
import { built, cli } from '../test/support/sites/cli.ts';
import { workplace } from '../test/support/sites/myelin.ts';
import { consulQuery, consulSettings } from '../watchers/consul/settings.ts';
import { watchConsul } from '../watchers/consul/watch.ts';
import { withCommon } from '../watchers/kit/source.ts';
import { listen } from '../watchers/public/listen.ts';
import { benchmark } from './benchmark.ts';
import { cpuSeconds } from './process.ts';
import { machine, table } from './report.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { short: { type: 'boolean' } } });
const { short = false } = values;
const services = Number(positionals[0] ?? (short ? 120 : 1000));
if (!(services > 1)) {
  process.stderr.write('usage: npm run bench:resting [-- SERVICES] [--short]\n');
  process.exit(2);
}
const { seconds, settleMs, changes } = short
  ? { seconds: 1, settleMs: 0, changes: 3 }
  : { seconds: 120, settleMs: 90_000, changes: 100 };

await benchmark({ name: 'bench:resting', limitMs: 1_200_000 + services * 100 });
// Builds as it is loaded, and ends the process where that fails.
if (!short) await import('../test/tools/build.ts');
await using consul = await startConsul();
const names = Array.from({ length: services }, (_, at) => `service-${at}`);
for (let at = 0; at < services; at += 20)
  await Promise.all(
    names.slice(at, at + 20).map((name) => consul.register({ name, address: '127.0.0.1', port: 9001 })),
  );
process.stdout.write(await measureRest(consul));
process.stdout.write(await measureChanges(consul));
process.stdout.write(await machine());

/** The whole of Myelin, its HAProxy verified as by default; the proxy only counts. */
async function measureRest({ address, pid }: ConsulAgent): Promise<string> {
  await using proxy = await startFaultProxy(address);
  const config = [
    `watchers: { consul: { address: "${proxy.address}" } }`,
    'services:',
    ...names.map((name) => `  ${name}: { check: { type: none } }`),
    'allowAddresses: [127.0.0.0/8]',
    'haproxy: { log: none }',
    'probes: { listen: "off" }',
    '',
  ];
  await using place = await workplace(config.join('\n'), short ? cli : built);
  const myelin = place.run();
  await myelin.until(
    'all services are live',
    (status) => isApplied(status.stateReasons) && status.services.every(({ endpoints }) => endpoints.ready === 1),
    120_000,
  );
  await timers.setTimeout(settleMs);
  const spent = (): Promise<number[]> => Promise.all([myelin.pid, pid].map(cpuSeconds));
  const [before, asked, startedAt] = [await spent(), proxy.requests.length, performance.now()];
  await timers.setTimeout(seconds * 1000);
  const [after, elapsed] = [await spent(), (performance.now() - startedAt) / 1000];
  const share = (which: 0 | 1): string =>
    `${((((after[which] ?? 0) - (before[which] ?? 0)) / elapsed) * 100).toFixed(2)} %`;
  return table([
    ['at rest', 'over', 'requests/s', 'of a core', 'of a core, agent'],
    [
      `${services} Consul services`,
      `${elapsed.toFixed(0)} s`,
      ((proxy.requests.length - asked) / elapsed).toFixed(1),
      share(0),
      share(1),
    ],
  ]);
}

/** From before the registration is sent until the watcher tells of it. */
async function measureChanges({ address, register }: ConsulAgent): Promise<string> {
  const watch = watchConsul(withCommon(consulSettings).parse({ address }), {});
  const queries = names.map((key) => ({ key, settings: consulQuery.parse({}) }));
  await using heard = listen((signal) => supervise('consul', (stop) => watch(queries, stop), { signal }));
  await until('synced', () => heard.count('synced') === 1, { withinMs: 60_000 });
  await timers.setTimeout(short ? 0 : 10_000);
  const tookMs: number[] = [];
  for (let port = 10_000; port < 10_000 + changes; port++) {
    const name = names[Math.floor(Math.random() * names.length)] ?? '';
    const startedAt = performance.now();
    await register({ name, address: '127.0.0.1', port });
    await until('it is seen', () => heard.served(name)?.includes(`127.0.0.1:${port}`), {
      withinMs: 90_000,
      everyMs: 1,
    });
    tookMs.push(performance.now() - startedAt);
    await timers.setTimeout(short ? 0 : 500 + 1000 * Math.random());
  }
  tookMs.sort((a, b) => a - b);
  const at = (share: number): string => `${(tookMs[Math.ceil(share * changes) - 1] ?? Number.NaN).toFixed(1)} ms`;
  return table([
    ['a change is seen', 'changes', 'p50', 'p90', 'p99', 'max'],
    [`of ${services} services`, `${changes}`, at(0.5), at(0.9), at(0.99), at(1)],
  ]);
}
