/** Notices that a path may have changed: it was written, replaced, created or removed, or a link on the way changed. */
import { type FSWatcher, watch } from 'node:fs';
import { lstat, readlink, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { hasCode } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';

/** `event`: a folder on the way to the path changed; `poll`: there was no event for a while. */
export type Hint = 'event' | 'poll';

/**
 * The first hint comes at once, when the watches are open: a read after it misses no change. An event `news` on the target `news`
 * makes another hint. Ends when `signal` aborts.
 */
export async function* hints(
  path: string,
  signal: AbortSignal,
  pollMs: Ms,
  news: EventTarget = new EventTarget(),
): AsyncGenerator<Hint, void, undefined> {
  const watched = new Map<string, FSWatcher>();
  let hint: Hint = 'event';
  let heard = Promise.withResolvers<Hint>();
  const onEvent = (): void => heard.resolve('event');
  signal.addEventListener('abort', onEvent);
  news.addEventListener('news', onEvent);
  try {
    while (!signal.aborted) {
      heard = Promise.withResolvers();
      follow(await foldersTo(path), watched, onEvent);
      yield hint;
      const timer = setTimeout(() => heard.resolve('poll'), pollMs);
      hint = await heard.promise;
      clearTimeout(timer);
    }
  } finally {
    signal.removeEventListener('abort', onEvent);
    news.removeEventListener('news', onEvent);
    for (const watcher of watched.values()) watcher.close();
  }
}

/** Opens and closes watches so that they are those of `folders`. */
function follow(folders: ReadonlyMap<string, string>, watched: Map<string, FSWatcher>, onEvent: () => void): void {
  for (const [id, watcher] of watched) {
    if (folders.has(id)) continue;
    watcher.close();
    watched.delete(id);
  }
  for (const [id, folder] of folders) {
    if (watched.has(id)) continue;
    try {
      const watcher = watch(folder, onEvent);
      // Polling replaces a watch that breaks, or that the kernel's limit does not allow.
      watcher.on('error', onEvent);
      watched.set(id, watcher);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ENOSPC', 'EMFILE')) throw error;
    }
  }
}

/**
 * The folders in which a change can alter what `path` means, by identity: that of the file, that of each symbolic link
 * on the way (a ConfigMap swaps `..data`, a deployment swaps `current`), and where something is missing, the nearest
 * folder in which it can appear.
 */
async function foldersTo(path: string): Promise<Map<string, string>> {
  const folders = new Set<string>();
  let steps = resolve(path).split(sep).filter(Boolean);
  let at: string = sep;
  for (let links = 0; steps.length > 0; ) {
    const [step = '', ...rest] = steps;
    const next = join(at, step);
    const found = await lstatOrNull(next);
    steps = rest;
    if (found === null) {
      folders.add(at);
      return identities(folders);
    }
    if (found.isSymbolicLink() && links < mostLinks) {
      links += 1;
      folders.add(at);
      const link = await readlink(next).catch(nullWhenMissing);
      if (link === null) return identities(folders);
      steps = [...resolve(at, link).split(sep).filter(Boolean), ...rest];
      at = sep;
    } else {
      at = next;
    }
  }
  folders.add(dirname(at)).add(at);
  return identities(folders);
}

/** The kernel's own limit. */
const mostLinks = 40;

/** A folder that was deleted and created again has the same path, but needs a new watch. */
async function identities(folders: ReadonlySet<string>): Promise<Map<string, string>> {
  const found = await Promise.all(
    [...folders].map(async (folder): Promise<readonly [string, string][]> => {
      const entry = await stat(folder, { bigint: true }).catch(nullWhenMissing);
      return entry?.isDirectory() ? [[`${entry.dev} ${entry.ino} ${entry.birthtimeNs}`, folder]] : [];
    }),
  );
  return new Map(found.flat());
}

function lstatOrNull(path: string) {
  return lstat(path).catch(nullWhenMissing);
}

function nullWhenMissing(error: unknown): null {
  // EINVAL: the path was a symbolic link a moment ago, and is none now.
  if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP', 'EINVAL')) return null;
  throw error;
}
