/**
 * `npm run bench:failing [-- MINUTES] [--short]`: what a fleet asks of an API server that answers 503, or 401, for minutes: its
 * requests a second for each Myelin, and how soon all are back afterwards.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import timers from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { supervise } from '../src/sources/supervise.ts';
import { startApiStub } from '../test/servers/api-stub.ts';
import { tempFolder, until } from '../test/support/index.ts';
import { kubeconfigText } from '../test/support/kubernetes/kubeconfig.ts';
import { withCommon } from '../watchers/kit/source.ts';
import { kubernetesSettings } from '../watchers/kubernetes/settings.ts';
import { watchKubernetes } from '../watchers/kubernetes/watch.ts';
import { listen } from '../watchers/public/listen.ts';
import { benchmark } from './benchmark.ts';
import { table } from './report.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { short: { type: 'boolean' } } });
const { short = false } = values;
const minutes = Number(positionals[0] ?? (short ? 0.05 : 10));
if (!(minutes > 0)) {
  process.stderr.write('usage: npm run bench:failing [-- MINUTES] [--short]\n');
  process.exit(2);
}
await benchmark({ name: 'bench:failing', limitMs: 300_000 + minutes * 60_000 });
/** Their chance decides when each asks: of one alone the figures would be anything. */
const fleet = short ? 3 : 40;

const rows = await Promise.all([503, 401].map(measure));
process.stdout.write(
  table([
    ['answer', 'for', 'requests/s of each, first 10 s', 'first minute', 'last minute', 'from 5,000 then', 'back, last'],
    ...rows,
  ]),
);

async function measure(status: number): Promise<readonly string[]> {
  await using stub = await startApiStub();
  await using folder = await tempFolder();
  const kubeconfig = join(folder.path, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigText(stub.address, {}, { namespace: 'shop' }));
  stub.put('services', { metadata: { name: 'web', namespace: 'shop' }, spec: { ports: [{ port: 80 }] } });
  const serve = (address: string): void =>
    stub.put('endpointslices', {
      metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address] }],
      ports: [{ port: 80 }],
    });
  serve('192.0.2.1');
  const all = Array.from({ length: fleet }, () => {
    const watch = watchKubernetes(withCommon(kubernetesSettings).parse({ kubeconfig }), {});
    return listen((signal) =>
      supervise('kubernetes', (stop) => watch([{ key: 'web', settings: {} }], stop), { signal }),
    );
  });
  const allServe = (address: string) => () => all.every((heard) => heard.served('web')?.join() === `${address}:80`);
  await until('all serve', allServe('192.0.2.1'), { withinMs: 60_000 });

  const startedAt = performance.now();
  stub.fail(status);
  await timers.setTimeout(minutes * 60_000);
  const endedAt = performance.now();
  stub.fail(null);
  serve('192.0.2.2');
  await until('all are back', allServe('192.0.2.2'), { withinMs: 120_000 });
  const backMs = performance.now() - endedAt;
  await Promise.all(all.map((heard) => heard.stop()));

  const rate = (from: number, to: number): number => {
    const seconds = (Math.min(to, endedAt) - Math.max(from, startedAt)) / 1000;
    return stub.requests.filter(({ at }) => at >= from && at < Math.min(to, endedAt)).length / seconds / fleet;
  };
  const last = rate(endedAt - 60_000, endedAt);
  return [
    `${status}`,
    `${(minutes * 60).toFixed(0)} s`,
    rate(startedAt, startedAt + 10_000).toFixed(2),
    rate(startedAt, startedAt + 60_000).toFixed(2),
    last.toFixed(2),
    `${(last * 5000).toFixed(0)}/s`,
    `${(backMs / 1000).toFixed(1)} s`,
  ];
}
