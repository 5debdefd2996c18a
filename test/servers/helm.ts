/** A real Helm for tests: found or built, and its commands on our chart, away from what its user has set up. */
import { type Finished, runCommand } from '../../src/lib/command.ts';
import { goProgram } from './go-program.ts';
import { provided } from './provided.ts';

const helmBinary = provided('Helm', () =>
  goProgram({
    name: 'helm',
    variable: 'HELM_BIN',
    module: 'helm',
    cache: 'helm-4.3.1',
    package: 'helm.sh/helm/v4/cmd/helm',
    flags: ['-ldflags', '-s -w'],
    takes: 'about six minutes',
  }),
);

/** Runs it; that it fails is for the caller to judge. */
export async function helm(...args: readonly string[]): Promise<Finished> {
  // No plugins, repositories or cluster of whoever runs the tests.
  const environment = ['HELM_CONFIG_HOME', 'HELM_DATA_HOME', 'KUBECONFIG'].map((name) => `${name}=/nonexistent`);
  return runCommand(['env', ...environment, await helmBinary(), ...args], { timeoutMs: 60_000, env: process.env });
}
