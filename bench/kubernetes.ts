/**
 * `npm run bench:kubernetes [-- CHANGES] [--only latency|scale] [--short]`: how long a change of an EndpointSlice takes until the
 * new endpoint gives its first answer, and what 2,000 Services with 20,000 endpoints cost. In a network of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { runCommand } from '../src/lib/command.ts';
import { isInOwnNetwork, ownNetworkRemedy, toOwnNetwork } from '../test/support/machine/own-network.ts';
import { built, cli } from '../test/support/sites/cli.ts';
import { benchmark } from './benchmark.ts';
import { measureLatency } from './kubernetes-latency.ts';
import { measureScale } from './kubernetes-scale.ts';
import { machine } from './report.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, short: { type: 'boolean' } },
});
const { only, short = false } = values;
const changes = Number(positionals[0] ?? (short ? 2 : 100));
if (!Number.isInteger(changes) || changes < 1 || !(only === undefined || only === 'latency' || only === 'scale')) {
  process.stderr.write('usage: npm run bench:kubernetes [-- CHANGES] [--only latency|scale] [--short]\n');
  process.exit(2);
}

await benchmark({ name: 'bench:kubernetes', limitMs: 900_000 + changes * 10_000 });
if (isInOwnNetwork()) {
  if (only !== 'scale') process.stdout.write(await measureLatency(changes, short ? cli : built));
  if (only !== 'latency') process.stdout.write(await measureScale(short));
  process.stdout.write(await machine());
} else {
  // Builds as it is loaded, and ends the process where that fails.
  if (!short) await import('../test/tools/build.ts');
  const { status } = await runCommand(toOwnNetwork(['true']), { timeoutMs: 10_000 });
  if (status !== 0) throw new Error(ownNetworkRemedy);
  const [command = '', ...args] = toOwnNetwork([process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
  const [code] = (await once(spawn(command, args, { stdio: 'inherit' }), 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}
