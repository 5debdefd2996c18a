/** The services of all files. A broken file keeps its last good services until it is mended. Pure. */
import { basename } from 'node:path';
import type { DiscoveredService, Update } from '../../src/model.ts';
import type { Text } from './disk.ts';
import type { Entry, Parsed } from './parse.ts';

/** The content of a file; the same object while the content is the same. */
export type Content = { readonly text: Text; readonly parsed: Parsed };

type File = {
  readonly content: Content;
  /** From the last valid content; null: there was none. */
  readonly services: ReadonlyMap<string, Entry> | null;
  /** Why the file may have more services than these; null: it has none. */
  readonly problem: string | null;
};

type Owner = { readonly path: string; readonly entry: Entry; readonly problem: string | null };

export type Known = {
  /** By path, in order of name. */
  readonly files: ReadonlyMap<string, File>;
  /** By service: the file whose entry counts, then the others that name it, too. */
  readonly owners: ReadonlyMap<string, readonly [Owner, ...Owner[]]>;
  /** Why the path cannot be read; then `files` are from the last read. */
  readonly problem: string | null;
};

export const nothingKnown: Known = { files: new Map(), owners: new Map(), problem: 'not read yet' };

export function learn(known: Known, contents: ReadonlyMap<string, Content>): Known {
  const files = new Map([...contents].map(([path, content]) => [path, learnFile(known.files.get(path), content)]));
  const owners = new Map<string, [Owner, ...Owner[]]>();
  for (const [path, { services, content }] of files) {
    const problem = content.parsed.kind === 'invalid' ? content.parsed.reason : null;
    for (const [service, entry] of services ?? []) {
      const owner = { path, entry, problem };
      const others = owners.get(service);
      if (others === undefined) owners.set(service, [owner]);
      else others.push(owner);
    }
  }
  return { files, owners, problem: null };
}

/**
 * A service that no file names has no endpoints if all files are valid: a broken file may be the one that names it. Where several
 * files name a service, the first one by name counts: a new file cannot take over the service of another.
 */
export function resultOf(known: Known, key: string, service: string): Update {
  const [owner, ...others] = known.owners.get(service) ?? [];
  const trouble = known.problem ?? (owner === undefined ? anyProblem(known) : owner.problem);
  if (trouble !== null) return { kind: 'stale', key, reason: trouble };
  if (owner === undefined) return { kind: 'endpoints', key, endpoints: [] };
  const { entry } = owner;
  if (entry.kind === 'unreadable') return { kind: 'stale', key, reason: entry.reason, isUnanswerable: true };
  const unreachable = others.map(({ path, entry: { place } }) => ({
    id: path,
    reason: `${place}: services.${service} counts as ${owner.path} has it, the first by name of file`,
  }));
  const unreadable = [...entry.unreadable, ...unreachable];
  return { kind: 'endpoints', key, endpoints: entry.endpoints, ...(unreadable.length > 0 && { unreadable }) };
}

/**
 * The services that say by their options how they are served. Of two that claim the same, the one in the first file by name has it,
 * as with two of one name.
 */
export function discoveredIn({ files, owners }: Known): readonly DiscoveredService[] {
  const order = new Map([...files.keys()].map((path, at) => [path, at]));
  return [...owners].flatMap(([name, [{ path, entry }]]) =>
    entry.options === null
      ? []
      : [
          {
            key: discoveredKey(name),
            name,
            owner: basename(path),
            createdAt: order.get(path) ?? 0,
            options: entry.options,
          },
        ],
  );
}

/** No service's name begins so. */
export function discoveredKey(name: string): string {
  return `*${name}`;
}

/** Why there may be more discovered services than these; null: there are none. */
export function discoveryTrouble(known: Known): string | null {
  return known.problem ?? anyProblem(known);
}

/** Whether files have faults that they did not have before: perhaps they are being written. */
export function hasNewFaults(before: Known, { files }: Known): boolean {
  return [...files].some(([path, { content, services, problem }]) => {
    if (before.files.get(path)?.content === content) return false;
    const entries = [...(services?.values() ?? [])];
    return problem !== null || entries.some((entry) => entry.kind === 'list' && entry.unreadable.length > 0);
  });
}

function anyProblem({ files }: Known): string | null {
  for (const { problem } of files.values()) if (problem !== null) return problem;
  return null;
}

function learnFile(before: File | undefined, content: Content): File {
  if (before?.content === content) return before;
  const { parsed } = content;
  if (parsed.kind === 'invalid') return { content, services: before?.services ?? null, problem: parsed.reason };
  // A half-written file may end with the name of a service, without its list.
  const cut = [...parsed.services.values()].find(({ kind }) => kind === 'unreadable');
  const services = new Map(
    [...parsed.services].map(([name, entry]) => [name, withLastOptions(entry, before?.services?.get(name))]),
  );
  return { content, services, problem: cut?.kind === 'unreadable' ? cut.reason : null };
}

/** What cannot be read has not lost its options. */
function withLastOptions(entry: Entry, before: Entry | undefined): Entry {
  if (entry.kind !== 'unreadable' || entry.options !== null) return entry;
  return { ...entry, options: before?.options ?? null };
}
