/**
 * `npm run bench:new-route [-- CHANGES] [--services 1,1000,5000] [--only consul|kubernetes] [--short]`: how long a new service on
 * a shared frontend takes until its first 200, and one that goes until its first 404, beside so many other services.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { toOwnNetwork } from '../test/support/machine/own-network.ts';
import { built, cli } from '../test/support/sites/cli.ts';
import { benchmark } from './benchmark.ts';
import { consulRegistry } from './new-route/consul.ts';
import { kubernetesRegistry } from './new-route/kubernetes.ts';
import { measureNewRoutes } from './new-route/measure.ts';
import { machine } from './report.ts';

const registries = { consul: consulRegistry, kubernetes: kubernetesRegistry } as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { services: { type: 'string' }, only: { type: 'string' }, short: { type: 'boolean' } },
});
const { only, short = false } = values;
const changes = Number(positionals[0] ?? (short ? 2 : 50));
const sizes = (values.services ?? (short ? '1,20' : '1,1000,5000')).split(',').map(Number);
const isKnown = only === undefined || Object.hasOwn(registries, only);
if (![changes, ...sizes].every((count) => Number.isInteger(count) && count > 0) || !isKnown) {
  process.stderr.write(
    'usage: npm run bench:new-route [-- CHANGES] [--services 1,1000,5000] [--only consul|kubernetes] [--short]\n',
  );
  process.exit(2);
}

await benchmark({ name: 'bench:new-route', limitMs: 600_000 + sizes.length * (120_000 + changes * 10_000) });
// Kubernetes takes no loopback addresses for endpoints.
if (only === 'kubernetes' && process.env.MYELIN_OWN_NETWORK !== '1') {
  await inOwnNetwork([]);
} else {
  const name = only === 'kubernetes' ? only : 'consul';
  // Builds as it is loaded, and ends the process where that fails.
  if (!short && only !== 'kubernetes') await import('../test/tools/build.ts');
  const program = short ? cli : built;
  process.stdout.write(
    await measureNewRoutes(name, registries[name], { sizes, changes, cli: program, isShort: short }),
  );
  if (only === undefined) await inOwnNetwork(['--only', 'kubernetes']);
  else process.stdout.write(await machine('3.4'));
}

async function inOwnNetwork(further: readonly string[]): Promise<void> {
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1), ...further];
  const [command = '', ...args] = toOwnNetwork(argv);
  const [code] = (await once(spawn(command, args, { stdio: 'inherit' }), 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}
