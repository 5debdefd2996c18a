/** Programs that the tests build with Go, from the modules beside this file, where the machine has none. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../src/lib/command.ts';
import { cacheFolder, lockCache } from './cache.ts';
import { inPath, isExecutable } from './executable.ts';

type GoProgram = {
  /** Of the executable. */
  readonly name: string;
  /** The environment variable that may name it, or a folder that has it beside others. */
  readonly variable: string;
  readonly isInFolder?: boolean;
  /** The folder of the module, which pins the versions; programs of one module are kept together. */
  readonly module: 'consul' | 'helm' | 'kubernetes' | 'prometheus';
  /** Where they are kept, with the version as go.mod has it. */
  readonly cache: string;
  readonly package: string;
  readonly flags?: readonly string[];
  /** How long the build takes, for people who wait for it. */
  readonly takes: string;
};

/** Path of the executable: the environment variable, PATH, the cache, else a build with Go. */
export async function goProgram(program: GoProgram): Promise<string> {
  const { name, variable, isInFolder = false, cache } = program;
  const named = process.env[variable];
  if (named !== undefined) return isInFolder ? join(named, name) : named;
  const found = await inPath(name);
  if (found !== null) return found;
  const path = join(await cacheFolder(), cache, name);
  if (await isExecutable(path)) return path;
  await using _lock = await lockCache(cache);
  if (!(await isExecutable(path))) await build(program, path);
  return path;
}

async function build(program: GoProgram, path: string): Promise<void> {
  const { name, variable, isInFolder = false, module, cache, flags = [], takes } = program;
  process.stderr.write(`building ${name} (${cache}) with Go, once; this takes ${takes}\n`);
  const folder = join(path, '..');
  await mkdir(folder, { recursive: true });
  const unfinished = `${path}.new`;
  const needed = `${name} (${cache}) is needed for the tests`;
  const naming = isInFolder ? `Set ${variable} to a folder with it` : `Set ${variable}`;
  const remedy = `${naming}, put it into PATH, or install Go (https://go.dev/dl): then it is built into ${folder}.`;
  const argv = ['go', 'build', '-C', join(import.meta.dirname, module), ...flags, '-o', unfinished, program.package];
  const finished = await runCommand(argv, { timeoutMs: 3_600_000, env: process.env }).catch((cause: unknown) => {
    throw new Error(`${needed} and go cannot be run. ${remedy}`, { cause });
  });
  if (finished.status !== 0) {
    await rm(unfinished, { force: true });
    throw new Error(`${needed} and could not be built. ${remedy}\n${finished.stderr}`);
  }
  await rename(unfinished, path);
}
