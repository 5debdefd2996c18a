/** A file that a program reads, and what may become of a new version of it. */
import { rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Timestamp } from '../../model.ts';
import {
  isLinked,
  isThere,
  keepAs,
  readIfPossible,
  readIfThere,
  removeIfThere,
  syncFolder,
  writeDurably,
  writeFailed,
  writeSynced,
} from './files.ts';
import { type FileBeside, filesBeside } from './files-beside.ts';

/**
 * The file that HAProxy reads, say, and what may become of a new version of it: a candidate beside it is accepted in its
 * place, and stays there, or gives way to the previous one again; a refused one is kept as `.rejected` to be looked at.
 * Each is a link and a rename: putting back needs neither space nor the old bytes in memory.
 *
 * Files beside it are part of a version. A candidate is judged with them, so they are in their places from the proposal on;
 * as long as the candidate is there it was not accepted, and they are put back with it.
 */
export type ConfigFile = ReturnType<typeof configFile>;

type ConfigFileOptions = {
  readonly mode?: number;
  /** It stands in a folder all files of which somebody reads. */
  readonly isAmongOthers?: boolean;
  /** Where files beside it stand, and nothing else. */
  readonly folders?: readonly string[];
};

export function configFile(path: string, { mode, isAmongOthers = false, folders = [] }: ConfigFileOptions = {}) {
  const folder = dirname(path);
  // Where whole folders are read, names that begin with a dot are left out.
  const beside = isAmongOthers ? join(folder, `.${basename(path)}`) : path;
  const ownCandidate = `${beside}.candidate`;
  const previous = `${beside}.previous`;
  const rejected = `${beside}.rejected`;
  const files = filesBeside(`${beside}.previous-files`, folders);
  /** Where what is proposed stands: beside the file, or in its place already. */
  let candidate = ownCandidate;
  /** Those of the newest version; null: it is not known which. */
  let proposed: readonly FileBeside[] | null = null;
  /** The paths of those that are in place. */
  let named: readonly string[] = [];

  async function step<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof AppError ? error : writeFailed(path, error);
    }
  }

  return {
    path,

    /** The path of what was proposed. */
    get candidate(): string {
      return candidate;
    },

    async read(): Promise<string | null> {
      return (await readIfThere(path))?.toString('utf8') ?? null;
    },

    /** Writes the bytes that HAProxy is asked about; they are live only once accepted. */
    async propose(text: string, its: readonly FileBeside[] = []): Promise<void> {
      const bytes = Buffer.from(text);
      await step(dropCandidate);
      candidate = ownCandidate;
      const isInPlace = (await readIfPossible(path))?.equals(bytes) === true;
      try {
        await files.dropOld();
        // Where they stand in place, as after HAProxy has ended by itself, they are there whatever the disk has room for.
        const isCandidate = isInPlace && (await isLinked(path, candidate));
        if (!isCandidate) await writeSynced(candidate, bytes, mode);
        await files.swapIn(its);
      } catch (error) {
        await removeIfThere(candidate);
        // All of it is there, in a folder that takes nothing: that must not keep a HAProxy that has ended from serving again.
        if (!isInPlace || !(await files.areInPlace(its)))
          throw error instanceof AppError ? error : writeFailed(path, error);
        candidate = path;
      }
      proposed = its;
    },

    /** The candidate takes the file's place; what stood there is kept until `commit` or `putBack`. */
    accept: () =>
      step(async () => {
        if (candidate === path) return;
        await rm(previous, { force: true });
        await keepAs(path, previous);
        await rename(candidate, path);
        // Where both were one file already, the rename did nothing.
        await rm(candidate, { force: true });
        await syncFolder(folder);
      }),

    /** What is in place stays, and what was kept for `putBack` is removed. */
    commit: () =>
      step(async () => {
        await files.dropOld();
        await rm(previous, { force: true });
        await rm(ownCandidate, { force: true });
        await removeOthers(proposed);
      }),

    /** The candidate is refused before it was accepted. */
    reject: () =>
      step(async () => {
        if (candidate === path) return;
        await files.putBack();
        await rename(candidate, rejected);
      }),

    /** What was accepted is refused after all. */
    rejectAccepted: () =>
      step(async () => {
        if (candidate === path) return;
        try {
          await rm(rejected, { force: true });
          await keepAs(path, rejected);
        } finally {
          // Also where it cannot be kept: a file that HAProxy refused must not stay in place.
          await putBack();
        }
      }),

    /** Removes a candidate that was neither accepted nor refused. */
    discard: () => dropCandidate().catch(() => {}),

    /** Undoes an acceptance: the previous file is in its place again, or none if there was none. */
    putBack: () => step(putBack),

    /** Whether a candidate was accepted and not committed: Myelin was killed in between. */
    isUncommitted: () => isThere(previous),

    /** Writes without a candidate. Returns whether anything had to change. */
    write: (text: string | Buffer, its: readonly FileBeside[] = []) =>
      step(async () => {
        const isChanged = await files.write(its);
        const isRewritten = await writeDurably(path, text);
        // Some files may have been swapped in by an acceptance that was never committed.
        await files.dropOld();
        await removeOthers(its);
        proposed = its;
        return isChanged || isRewritten;
      }),

    /** Since when the bytes that are there have been in their place, at the latest; null where there is no file. */
    async placedAt(): Promise<Timestamp | null> {
      // Not the time of writing: a candidate is written before it takes the place.
      return stat(path).then(
        ({ ctimeMs }) => ctimeMs,
        () => null,
      );
    },

    /** Another text whenever somebody has written or replaced the file, or taken it away. */
    stamp: () => stampOf(path),

    /** The same of the files beside it as well. */
    stampOfAll: async () => (await Promise.all([path, ...named].map(stampOf))).join('\n'),
  };

  /** While it is there it was not accepted, nor what was swapped in for it. */
  async function dropCandidate(): Promise<void> {
    if (!(await isThere(ownCandidate))) return;
    await files.putBack();
    await rm(ownCandidate, { force: true });
  }

  /** What the file names stays in any case: it may be more than is known of. */
  async function removeOthers(its: readonly FileBeside[] | null): Promise<void> {
    named = (its ?? []).map(({ path: each }) => each);
    if (folders.length === 0) return;
    const needed = new Set(named);
    const others = (await files.all()).filter((each) => !needed.has(each));
    if (others.length === 0) return;
    const own = (await readIfThere(path))?.toString('utf8') ?? '';
    // What it names may name others, as a list of certificates does.
    const text = its === null ? own + (await files.textsNamedIn(own)) : own;
    for (const each of others) if (!text.includes(each)) await rm(each, { recursive: true, force: true });
  }

  async function putBack(): Promise<void> {
    if (candidate === path) return;
    await files.putBack();
    // A rename, not a copy: the place is never empty, and a full disk does not matter.
    if (await isThere(previous)) await rename(previous, path);
    else await rm(path, { force: true });
    // Where both were one file still, the rename did nothing.
    await rm(previous, { force: true });
    await syncFolder(folder);
  }
}

/** Asks about a candidate that is not to be accepted. */
export async function tryOut<T>(
  file: ConfigFile,
  { text, files }: { readonly text: string; readonly files: readonly FileBeside[] },
  ask: () => Promise<T>,
): Promise<T> {
  try {
    await file.propose(text, files);
    return await ask();
  } finally {
    await file.discard();
  }
}

function stampOf(path: string): Promise<string> {
  return stat(path).then(
    ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
    () => 'none',
  );
}
