/**
 * Kubernetes takes no loopback addresses for endpoints. Tests in which traffic goes to endpoints run in a network of
 * their own, in which the addresses of 192.0.2.0/24 (for documentation, nobody's) are this machine, and nothing else exists.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '../../../src/lib/command.ts';

/** An address of this machine in a network of its own. */
export const ownAddress = '192.0.2.1';

const variable = 'MYELIN_OWN_NETWORK';
export const ownNetworkRemedy =
  'This needs a network namespace: run it as root, or where `unshare -rn true` works (Linux; on Debian and ' +
  'Ubuntu `sysctl kernel.unprivileged_userns_clone=1` and `kernel.apparmor_restrict_unprivileged_userns=0`; in a ' +
  'container `--security-opt seccomp=unconfined`), with `ip` of iproute2 in PATH.';

export function isInOwnNetwork(): boolean {
  return process.env[variable] === '1';
}

/** The command that runs `argv` in a network of its own. */
export function toOwnNetwork(argv: readonly string[]): readonly string[] {
  const setUp = `ip link set lo up && ip address add ${ownAddress}/24 dev lo && exec "$@"`;
  // Node's runner does not run within itself, and says so by this variable.
  const environment = ['env', '-u', 'NODE_TEST_CONTEXT', `${variable}=1`];
  return [...environment, 'unshare', '-rn', 'sh', '-c', setUp, 'sh', ...argv];
}

/** Results and diagnostics, but not the totals. */
const told = /^([✔✖]|ℹ (?!(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ))/;

/** `define` defines the tests of `file`: in a network of its own, which another process of node's test runner runs in. */
export function inOwnNetwork(file: string, define: () => void): void {
  if (isInOwnNetwork()) {
    define();
    return;
  }
  test('in a network of its own', { timeout: 600_000 }, async (t) => {
    const run = [process.execPath, '--test', '--test-reporter=spec', file];
    const { status, stdout, stderr } = await runCommand(toOwnNetwork(run), { timeoutMs: 590_000, env: process.env });
    const ran = /^ℹ tests [1-9]/m.test(stdout);
    for (const line of stdout.split('\n').filter((one) => told.test(one))) t.diagnostic(line);
    assert.ok(ran, `${ownNetworkRemedy}\n${stdout}${stderr}`);
    assert.equal(status, 0, `${stdout}${stderr}`);
  });
}
