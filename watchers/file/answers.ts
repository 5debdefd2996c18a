/** What the files say, kept over bad moments: a file that is broken keeps its last good services until it is mended. Pure. */
import type { Endpoint, Update } from '../../src/model.ts';
import type { Text } from './disk.ts';
import { parseServices } from './parse.ts';

type File = {
  readonly read: Text;
  /** The last good ones; null before the first. */
  readonly services: ReadonlyMap<string, readonly Endpoint[]> | null;
  readonly problem: string | null;
};

type Owner = { readonly path: string; readonly file: File };

export type Known = {
  readonly files: ReadonlyMap<string, File>;
  /** By service. */
  readonly owners: ReadonlyMap<string, readonly Owner[]>;
  /** That of the path itself; then the files are those of before. */
  readonly problem: string | null;
};

export const nothingKnown: Known = { files: new Map(), owners: new Map(), problem: 'not read yet' };

export function learn(known: Known, texts: ReadonlyMap<string, Text>): Known {
  const files = new Map([...texts].map(([path, read]) => [path, learnFile(known.files.get(path), path, read)]));
  const owners = new Map<string, Owner[]>();
  for (const [path, file] of files) {
    for (const service of file.services?.keys() ?? []) {
      const others = owners.get(service);
      if (others === undefined) owners.set(service, [{ path, file }]);
      else others.push({ path, file });
    }
  }
  return { files, owners, problem: null };
}

/** A service that no file names has no endpoints, once all files are good: a broken one might be the one to name it. */
export function answer(known: Known, key: string, service: string): Update {
  const [first, second] = known.owners.get(service) ?? [];
  if (first !== undefined && second !== undefined)
    return {
      kind: 'stale',
      key,
      reason: `service ${JSON.stringify(service)} stands in both ${first.path} and ${second.path}`,
    };
  const reason = known.problem ?? (first === undefined ? anyProblem(known) : first.file.problem);
  if (reason !== null) return { kind: 'stale', key, reason };
  return { kind: 'endpoints', key, endpoints: first?.file.services?.get(service) ?? [] };
}

function anyProblem({ files }: Known): string | null {
  for (const { problem } of files.values()) if (problem !== null) return problem;
  return null;
}

function learnFile(before: File | undefined, file: string, read: Text): File {
  if (before !== undefined && isSame(before.read, read)) return before;
  const services = before?.services ?? null;
  if (read.kind === 'unreadable') return { read, services, problem: read.reason };
  const parsed = parseServices(file, read.text);
  switch (parsed.kind) {
    case 'services':
      return { read, services: parsed.services, problem: null };
    case 'invalid':
      return { read, services, problem: parsed.reason };
  }
}

export function isSame(one: Text, other: Text): boolean {
  if (one.kind === 'text') return other.kind === 'text' && one.text === other.text;
  return other.kind === 'unreadable' && one.reason === other.reason;
}
