/**
 * The files of this package, and how it starts a part of itself again: from its sources, from `dist`, or from one executable
 * file that holds them all beside Node. There its files have paths as if the executable were their folder.
 */
import { readFileSync } from 'node:fs';
import { getAsset, isSea } from 'node:sea';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

const isSingleFile = isSea();
const root = isSingleFile ? pathToFileURL(`${process.execPath}/`) : new URL('.', import.meta.resolve('#package.json'));

/** `path` is relative to the package. */
export function ownText(path: string): string {
  return isSingleFile ? getAsset(path, 'utf8') : readFileSync(new URL(path, root), 'utf8');
}

/** For messages. */
export function ownPath(path: string): string {
  return fileURLToPath(new URL(path, root));
}

/** `path` is that of the source without its extension. The bundle has these apart, in `dist`, by the same path. */
export function ownModule(path: string): URL {
  return new URL(import.meta.url.endsWith('.ts') ? `${path}.ts` : `dist/${path}.js`, root);
}

/** Throws what `new Worker` throws. */
export function startOwnWorker(path: string, options: WorkerOptions): Worker {
  const module = ownModule(path);
  if (!isSingleFile) return new Worker(module, options);
  // A thread looks for its modules on disk; what begins the executable teaches it where they are.
  return new Worker(getAsset('start.cjs', 'utf8'), { ...options, eval: true, argv: [module.href] });
}

/** Program and arguments of a process that runs Myelin's command line. */
export function ownCommand(...args: readonly string[]): readonly [program: string, args: readonly string[]] {
  const [, cli = ''] = process.argv;
  return [process.execPath, isSingleFile ? args : [cli, ...args]];
}
