/**
 * Provides what files of tests and benchmarks need, and no more: it reads which modules of `test/servers` they reach by
 * their imports, so that there is no list to keep. It is there before the first test begins: no limit of a test has to
 * allow for a build, and tests in a network of their own could fetch nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { allProvided } from '../servers/provided.ts';

const servers = resolve(import.meta.dirname, '../servers');
const types = /^(import|export) type [^;]*;$/gm;
/** A path of a module is one wherever it stands: in an import, or in what is started as a process. */
const modules = /'(\.{1,2}\/[^'\n]+\.ts)'/g;

/** Tells of each as soon as it is there. */
export async function provideFor(files: Iterable<string>, tell: (line: string) => void): Promise<void> {
  for (const module of serversOf(files)) await import(pathToFileURL(module).href);
  for (const [name, provide] of allProvided()) tell(`${name}: ${await provide()}`);
}

/** The modules of `test/servers` that these files reach. */
export function serversOf(files: Iterable<string>): readonly string[] {
  const reached = new Set([...files].map((file) => resolve(file)));
  // A set is gone through to its end, also where that moves.
  for (const file of reached) for (const module of namedIn(file)) reached.add(module);
  return [...reached].filter((file) => dirname(file) === servers).sort();
}

function namedIn(file: string): readonly string[] {
  // Whoever runs it says that it is not there.
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8').replaceAll(types, '');
  return [...text.matchAll(modules)]
    .map(([, path = '']) => resolve(file, '..', path))
    .filter((path) => existsSync(path));
}
