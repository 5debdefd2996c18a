/** Programs that the tests build with Go, from the module `consul` beside this file, where the machine has none. */
import { constants } from 'node:fs';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { runCommand } from '../../src/lib/command.ts';
import { cacheFolder, lockCache } from './cache.ts';

type GoProgram = {
  /** Of the executable. */
  readonly name: string;
  /** The environment variable that may name it. */
  readonly variable: string;
  /** As go.mod has it; part of its name in the cache. */
  readonly version: string;
  readonly package: string;
  /** How long the build takes, for people who wait for it. */
  readonly takes: string;
};

/** Path of the executable: the environment variable, PATH, the cache, else a build with Go. */
export async function goProgram(program: GoProgram): Promise<string> {
  const { name, variable, version } = program;
  const { [variable]: named, PATH = '' } = process.env;
  if (named !== undefined) return named;
  for (const folder of PATH.split(delimiter)) {
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  const path = join(await cacheFolder(), `${name}-${version}`, name);
  if (await isExecutable(path)) return path;
  await using _lock = await lockCache(`${name}-${version}`);
  if (!(await isExecutable(path))) await build(program, path);
  return path;
}

async function build(program: GoProgram, path: string): Promise<void> {
  const { name, variable, version, takes } = program;
  const module = join(import.meta.dirname, 'consul');
  process.stderr.write(`building ${name} ${version} with Go, once; this takes ${takes}\n`);
  const folder = join(path, '..');
  await mkdir(folder, { recursive: true });
  const unfinished = `${path}.new`;
  const needed = `${name} ${version} is needed`;
  const remedy = `Set ${variable}, put ${name} into PATH, or install Go (https://go.dev/dl): then it is built into ${folder}.`;
  const argv = ['go', 'build', '-C', module, '-o', unfinished, program.package];
  const finished = await runCommand(argv, { timeoutMs: 1_800_000, env: process.env }).catch((cause: unknown) => {
    throw new Error(`${needed} and go cannot be run. ${remedy}`, { cause });
  });
  if (finished.status !== 0) {
    await rm(unfinished, { force: true });
    throw new Error(`${needed} and could not be built. ${remedy}\n${finished.stderr}`);
  }
  await rename(unfinished, path);
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
