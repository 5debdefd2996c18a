/** Prometheus' own tool for rules: found or built. */
import { type Finished, runCommand } from '../../src/lib/command.ts';
import { goProgram } from './go-program.ts';
import { provided } from './provided.ts';

const promtoolBinary = provided('promtool', () =>
  goProgram({
    name: 'promtool',
    variable: 'PROMTOOL_BIN',
    module: 'prometheus',
    cache: 'promtool-3.16.0',
    package: 'github.com/prometheus/prometheus/cmd/promtool',
    // Without the service discoveries, which are most of it.
    flags: ['-tags', 'remove_all_sd', '-ldflags', '-s -w'],
    takes: 'several minutes',
  }),
);

/** Runs it; that it fails is for the caller to judge. */
export async function promtool(...args: readonly string[]): Promise<Finished> {
  return runCommand([await promtoolBinary(), ...args], { timeoutMs: 60_000, env: process.env });
}
