/** A real Helm for tests: found or built, and its commands on our chart, away from what its user has set up. */
import { constants } from 'node:fs';
import { access, mkdir, rename } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Finished, runCommand } from '../../src/lib/command.ts';
import { cacheFolder, lockCache } from './cache.ts';
import { provided } from './provided.ts';

const version = '4.3.1';

/** Path of the executable: HELM_BIN, PATH, the cache, else a build with Go (about six minutes the first time). */
const helmBinary = provided('Helm', async () => {
  const { HELM_BIN, PATH = '' } = process.env;
  if (HELM_BIN !== undefined) return HELM_BIN;
  for (const folder of PATH.split(delimiter)) {
    const path = join(folder, 'helm');
    if (await isExecutable(path)) return path;
  }
  const path = join(await cacheFolder(), `helm-${version}`, 'helm');
  if (await isExecutable(path)) return path;
  await using _lock = await lockCache(`helm-${version}`);
  if (!(await isExecutable(path))) await build(path);
  return path;
});

/** Runs it; that it fails is for the caller to judge. */
export async function helm(...args: readonly string[]): Promise<Finished> {
  // No plugins, repositories or cluster of whoever runs the tests.
  const environment = ['HELM_CONFIG_HOME', 'HELM_DATA_HOME', 'KUBECONFIG'].map((name) => `${name}=/nonexistent`);
  return runCommand(['env', ...environment, await helmBinary(), ...args], { timeoutMs: 60_000, env: process.env });
}

async function build(path: string): Promise<void> {
  const module = join(import.meta.dirname, 'helm');
  process.stderr.write(`building Helm ${version} with Go, once; this takes about six minutes\n`);
  const folder = join(path, '..');
  await mkdir(folder, { recursive: true });
  const unfinished = `${path}.new`;
  const remedy = `Set HELM_BIN, put helm into PATH, or install Go (https://go.dev/dl): then it is built into ${folder}.`;
  const argv = ['go', 'build', '-C', module, '-ldflags', '-s -w', '-o', unfinished, 'helm.sh/helm/v4/cmd/helm'];
  const finished = await runCommand(argv, { timeoutMs: 1_800_000, env: process.env }).catch((cause: unknown) => {
    throw new Error(`Helm ${version} is needed for the tests and go cannot be run. ${remedy}`, { cause });
  });
  if (finished.status !== 0)
    throw new Error(`Helm ${version} is needed for the tests and could not be built. ${remedy}\n${finished.stderr}`);
  await rename(unfinished, path);
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
