/** What the built Myelin costs while nothing happens: 100 services in Consul, each with two servers, verification on. */
import timers from 'node:timers/promises';
import { startConsul } from '../test/servers/consul.ts';
import { isApplied } from '../test/support/applied.ts';
import { freePort } from '../test/support/index.ts';
import { built, cli } from '../test/support/sites/cli.ts';
import { workplace } from '../test/support/sites/myelin.ts';
import { cpuSeconds, memoryMiB } from './process.ts';
import { table } from './report.ts';

/** What starting left to do is over after `settleMs`. */
const sizes = {
  full: { services: 100, seconds: 60, settleMs: 10_000 },
  short: { services: 2, seconds: 1, settleMs: 0 },
} as const;

export async function measureIdle(isShort: boolean): Promise<string> {
  const { services, seconds, settleMs } = sizes[isShort ? 'short' : 'full'];
  // Builds as it is loaded, and ends the process where that fails.
  if (!isShort) await import('../test/tools/build.ts');
  await using consul = await startConsul();
  const names = Array.from({ length: services }, (_, at) => `service-${at}`);
  for (const name of names)
    for (const port of [9001, 9002]) await consul.register({ name, address: '127.0.0.1', port });
  const binds = await Promise.all(names.map(async (name) => `  ${name}: { bind: "127.0.0.1:${await freePort()}" }`));
  const config = [
    `watchers: { consul: { address: "${consul.address}" } }`,
    'services:',
    ...binds,
    'allowAddresses: [127.0.0.0/8]',
    'haproxy: { log: none }',
    'probes: { listen: "off" }',
    '',
  ];
  await using place = await workplace(config.join('\n'), isShort ? cli : built);
  const myelin = place.run();
  await myelin.until(
    'all services are live',
    (status) => isApplied(status.stateReasons) && status.services.every(({ endpoints }) => endpoints.ready === 2),
    60_000,
  );
  await timers.setTimeout(settleMs);
  const before = await cpuSeconds(myelin.pid);
  const startedAt = performance.now();
  await timers.setTimeout(seconds * 1000);
  const share = (await cpuSeconds(myelin.pid)) - before;
  const elapsed = (performance.now() - startedAt) / 1000;
  return table([
    ['idle with', 'over', 'of a core', 'memory (RSS)', 'its peak'],
    [
      `${services} Consul services`,
      `${elapsed.toFixed(0)} s`,
      `${((share / elapsed) * 100).toFixed(2)} %`,
      `${(await memoryMiB(myelin.pid, 'VmRSS')).toFixed(0)} MiB`,
      `${(await memoryMiB(myelin.pid, 'VmHWM')).toFixed(0)} MiB`,
    ],
  ]);
}
