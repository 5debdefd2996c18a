/**
 * `npm run bench:maps [-- ROUTES] [--short]`: what one map of so many routes costs HAProxy and Myelin, beside one of ten: to look
 * one up, to change one, to change all, and to read all back.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from '../src/apply/runtime/worker.ts';
import { HeldConnection } from '../src/haproxy/cli/held-connection.ts';
import { readInfo } from '../src/haproxy/cli/info.ts';
import { findDrift, ownerOf, type SeenMap } from '../src/haproxy/resources/maps/read-back.ts';
import { splitSections } from '../src/haproxy/text/text.ts';
import type { Rendered } from '../src/model.ts';
import { planChange } from '../src/plan/plan.ts';
import { haproxy } from '../test/servers/haproxy.ts';
import { startHaproxy } from '../test/support/haproxy/process.ts';
import { freePort, tempFolder } from '../test/support/index.ts';
import { askPipelined } from '../test/support/load/pipelined.ts';
import { benchmark } from './benchmark.ts';
import { cpuSeconds } from './process.ts';
import { machine, table } from './report.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { short: { type: 'boolean' } } });
const { short = false } = values;
const routes = Number(positionals[0] ?? (short ? 1000 : 10_000));
if (!(Number.isInteger(routes) && routes > 0)) {
  process.stderr.write('usage: npm run bench:maps [-- ROUTES] [--short]\n');
  process.exit(2);
}
await benchmark({ name: 'bench:maps', limitMs: 300_000 });
const [lookUps, changes, swaps] = short ? [2000, 5, 1] : [100_000, 100, 5];

const titles = ['routes', 'HAProxy, a request', 'HAProxy, a change', 'Myelin, a change', 'answered after'];
process.stdout.write(
  table([
    [...titles, 'HAProxy, all change', 'Myelin, all change', 'commands', 'HAProxy, read back', 'Myelin, read back'],
    await measure(10),
    await measure(routes),
  ]),
);
process.stdout.write(await machine());

async function measure(count: number): Promise<readonly string[]> {
  await using folder = await tempFolder();
  const port = await freePort();
  const map = join(folder.path, 'haproxy.cfg.maps', 'public.map');
  const config = `
global
    stats socket ${join(folder.path, 'admin.sock')} mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend public
    bind 127.0.0.1:${port}
    http-request set-var(txn.path) path
    use_backend %[req.hdr(host),concat(,txn.path,/),map_beg(${map},b)]
backend a
    http-request return status 200 hdr x-backend a
backend b
    http-request return status 200 hdr x-backend b
`;
  const entries = (owner: string): readonly string[] =>
    Array.from({ length: count }, (_, at) => `host-${at}.example.com/ ${owner}\n`);
  const file = (lines: readonly string[]): Rendered => ({
    sections: [...splitSections(config), { kind: 'map', name: map, text: lines.join(''), service: null }],
  });
  await mkdir(dirname(map));
  await writeFile(map, entries('a').join(''));
  await using serving = await startHaproxy(await haproxy(), folder.path, config);
  const { pid, version } = await readInfo(serving.socket);
  const held = new HeldConnection(serving.socket);
  const running = file(entries('a'));
  const worker = new Worker({ pid, version, started: running.sections, running, ask: held.ask, now: Date.now });
  let commands = 0;
  const change = async (lines: readonly string[]): Promise<void> => {
    const desired = file(lines);
    const plan = planChange(worker.running, desired, worker);
    if (plan.kind !== 'runtime') throw new Error(`the plan is ${plan.kind}`);
    commands = plan.commands.length;
    const { kind } = await worker.applyCommands(plan.commands, desired);
    if (kind !== 'applied') throw new Error(`it is ${kind}`);
  };
  const times = async (some: number, run: (at: number) => Promise<unknown>) => {
    const [its, own, startedAt] = [await cpuSeconds(pid), process.cpuUsage(), performance.now()];
    for (let at = 0; at < some; at++) await run(at);
    const tookMs = (performance.now() - startedAt) / some;
    const { user, system } = process.cpuUsage(own);
    return {
      haproxyMs: ((await cpuSeconds(pid)) - its) * (1000 / some),
      myelinMs: (user + system) / 1000 / some,
      tookMs,
    };
  };

  const hosts = Array.from({ length: lookUps }, (_, at) => ({ host: `host-${at % count}.example.com`, path: '/' }));
  const asked = await times(1, () => askPipelined(port, hosts));
  // Warm, as after hours.
  for (let at = 0; at < 5; at++) await change(entries('a').with(0, `new-${at}.example.com/ b\n`));
  const one = await times(changes, (at) => change(entries('a').with(at % count, `one-${at}.example.com/ b\n`)));
  const all = await times(swaps, (at) => change(entries(at % 2 === 0 ? 'b' : 'a')));
  const sent = commands;
  const read = await times(changes, async () => {
    const seen = (await worker.observe([ownerOf(map)])).get('map') as ReadonlyMap<string, SeenMap>;
    if (findDrift(worker.running, seen).findings.length > 0) throw new Error('the map is another one');
  });
  held.close();
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  return [
    ...[
      `${count}`,
      `${((asked.haproxyMs / lookUps) * 1000).toFixed(1)} µs`,
      ms(one.haproxyMs),
      ms(one.myelinMs),
      ms(one.tookMs),
    ],
    ...[ms(all.haproxyMs), ms(all.myelinMs), `${sent}`, ms(read.haproxyMs), ms(read.myelinMs)],
  ];
}
