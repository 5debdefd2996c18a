/**
 * `npm run bench:drops [-- REQUESTS] [--control no-x|hard-stop] [--short]`: how many of so many requests and of the TCP
 * sessions beside them are lost while endpoints change ten times a second and the structure every two seconds. The exit
 * code is 1 where any was. With a control, some must be: it takes away what Myelin does against it.
 */
import { parseArgs } from 'node:util';
import { controls, type Drops, measureDrops } from '../test/support/load/drops.ts';
import { benchmark } from './benchmark.ts';
import { machine, table } from './report.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { control: { type: 'string' }, short: { type: 'boolean' } },
});
const requests = Number(positionals[0] ?? (values.short === true ? 4000 : 1_000_000));
const control = controls.find((name) => name === values.control);
if (!Number.isInteger(requests) || requests < 1 || control !== values.control) {
  process.stderr.write(`usage: npm run bench:drops [-- REQUESTS] [--control ${controls.join('|')}] [--short]\n`);
  process.exit(2);
}

// What it measures has an end of its own, which names the kind of traffic that is not over.
await benchmark({ name: 'bench:drops', limitMs: 300_000 + requests * 4 });
const drops = await measureDrops({
  requests,
  control,
  onProgress: (complete, failed) => process.stderr.write(`${complete} of ${requests} requests, ${failed} failed\n`),
});
process.stdout.write((await machine()) + report(drops));
process.exitCode = drops.failed === 0 ? 0 : 1;

function report({ lanes, failed, changes, answered, tookMs, ...counts }: Drops): string {
  const made = [...changes].map(([kind, count]) => `${count} ${kind}`).join(', ');
  const changeCount = [...changes.values()].reduce((sum, count) => sum + count, 0);
  const complete = lanes.reduce((sum, lane) => sum + lane.complete, 0);
  const titles = {
    fresh: 'a connection each',
    kept: 'kept connections',
    h2: 'HTTP/2 over TLS',
    tcp: 'TCP sessions (echoes)',
    slow: 'requests in two halves',
  };
  const rows = lanes.map((lane) => [
    titles[lane.name],
    `${lane.complete}`,
    `${lane.failed}`,
    `${lane.p50Ms.toFixed(1)} ms`,
    `${lane.p99Ms.toFixed(1)} ms`,
  ]);
  const troubles = lanes.flatMap((lane) => lane.troubles.slice(0, 3).map((trouble) => `${lane.name}: ${trouble}\n`));
  return [
    table([['traffic', 'requests', 'failed', 'p50', 'p99'], ...rows]),
    `${complete} requests in ${(tookMs / 1000).toFixed(0)} s, failed: ${failed}\n`,
    `changes of endpoints: ${changeCount}, ${((changeCount / tookMs) * 1000).toFixed(1)} a second (${made}); runtime commands: ${counts.commands}\n`,
    `changes of structure: ${counts.structures}; reloads: ${counts.reloads}; old processes at most: ${counts.mostOldProcesses}\n`,
    `answered by: ${[...answered].map(([name, count]) => `${name} ${count}`).join(', ')}\n`,
    ...troubles,
  ].join('');
}
